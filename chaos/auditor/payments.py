"""N and S: every order that was given has one ending, one that it may have, and nothing settles twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from agents.streams import OUTBOUND, OUTCOMES, PARKED, PAYMENTS
from chaos.auditor.invariants import Invariant, Problem
from chaos.auditor.reading import Reading, Taken
from chaos.virtual_time import HOUR_US
from chaos.workload import Answers, Ending, Order, OrderKind
from pipeline.errors import Poison
from pipeline.kernel import system_events
from pipeline.kernel.envelope import decode
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND, Parked
from schemas import codec
from schemas.errors import UndecodableEventError
from schemas.events import (
    AccountCredited,
    ParticipantAnswered,
    PaymentConfirmed,
    PaymentConflicted,
    PaymentExpired,
    PaymentHeld,
    PaymentRejected,
    PaymentRepeated,
    PaymentSettled,
    PaymentSubmitted,
    PaymentUnknown,
)

_ENDINGS = {
    PaymentSettled: Ending.SETTLED,
    PaymentRejected: Ending.REJECTED,
    PaymentExpired: Ending.EXPIRED,
    PaymentHeld: Ending.HELD,
}
_AGAIN = {PaymentRepeated: Ending.REPEATED, PaymentConflicted: Ending.CONFLICTED}
_AGAIN_ENDINGS = frozenset(_AGAIN.values())
_CLAIMS_KEPT_US = 24 * HOUR_US
"""At least, from the end of a payment on."""
_SHOWN_BYTES = 200
_OUR_OWN = frozenset({"authorise", "clearing"})
_CONTRADICTING = frozenset({Answers.CONTRADICTS, Answers.CONTRADICTS_FIRST})


def event_of(taken: Taken) -> object:
    """Return the event of a record, or None for what carries none of the application's."""
    envelope = taken.envelope
    if envelope is None or envelope.kind < FIRST_APPLICATION_KIND:
        return None
    try:
        return codec.decode(envelope.kind, envelope.version, envelope.body)
    except UndecodableEventError:
        return None


@dataclass
class Payments:
    """What the recorded streams say of every payment."""

    endings: dict[str, list[Ending]] = field(default_factory=lambda: defaultdict(list))
    settled: dict[str, PaymentSettled] = field(default_factory=dict)
    unknown: dict[str, PaymentUnknown] = field(default_factory=dict)
    rejected_by: dict[str, str] = field(default_factory=dict)
    credited: Counter[str] = field(default_factory=Counter)
    confirmed: dict[str, dict[str, set[bool]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    """By payment and recipient: how it was told to have ended."""
    arrived: Counter[str] = field(default_factory=Counter)
    """How often the log took a payment's order: an edge that was not answered puts it again."""
    parked_garbage: Counter[bytes] = field(default_factory=Counter)
    """By SHA-256: a record may be too large to be parked whole."""
    problems: list[Problem] = field(default_factory=list)

    def in_limbo(self) -> list[str]:
        """Return the payments whose outcome is unknown still."""
        return [payment_id for payment_id in self.unknown if not self.endings[payment_id]]


def payments_of(
    readings: Mapping[str, Reading], orders: Mapping[str, Order], garbage: Sequence[bytes] = ()
) -> Payments:
    """Read what became of every payment."""
    spoilt = frozenset(map(_digest, garbage))
    payments = Payments()
    for taken in readings[OUTCOMES].taken:
        _note_outcome(payments, event_of(taken))
    for taken in readings[PAYMENTS].taken:
        event = event_of(taken)
        if isinstance(event, AccountCredited):
            payments.credited[event.payment_id] += 1
        elif isinstance(event, PaymentSubmitted) and _digest(taken.record) not in spoilt:
            payments.arrived[event.transfer.payment_id] += 1
    for taken in readings[OUTBOUND].taken:
        event = event_of(taken)
        if isinstance(event, PaymentConfirmed):
            payments.confirmed[event.payment_id][event.recipient].add(event.settled)
    for taken in readings[PARKED].taken:
        _note_parked(payments, taken, orders, spoilt)
    return payments


def _note_outcome(payments: Payments, event: object) -> None:
    ending = _ENDINGS.get(type(event))
    if ending is not None:
        payment_id: str = event.payment_id  # type: ignore[attr-defined]
        payments.endings[payment_id].append(ending)
    if isinstance(event, PaymentSettled):
        payments.settled[event.payment_id] = event
    elif isinstance(event, PaymentRejected):
        payments.rejected_by[event.payment_id] = event.refused_by
    elif isinstance(event, PaymentUnknown):
        payments.unknown[event.payment_id] = event
    elif isinstance(event, PaymentRepeated | PaymentConflicted) and event.of != event.payment_id:
        payments.endings[event.payment_id].append(_AGAIN[type(event)])


def _note_parked(payments: Payments, taken: Taken, orders: Mapping[str, Order], spoilt: frozenset[bytes]) -> None:
    if taken.envelope is None or taken.envelope.kind != system_events.kind_of_type[Parked]:
        return
    parked = system_events.decode(taken.envelope.kind, taken.envelope.version, taken.envelope.body)
    if not isinstance(parked, Parked):
        return
    digest = _digest(parked.record) if parked.record else parked.digest
    if digest in spoilt:
        payments.parked_garbage[digest] += 1
        return
    try:
        envelope = decode(parked.record)
        event = codec.decode(envelope.kind, envelope.version, envelope.body)
    except (Poison, UndecodableEventError):
        payments.parked_garbage[digest] += 1
        return
    if isinstance(event, PaymentSubmitted):
        payments.endings[event.transfer.payment_id].append(Ending.PARKED)
    elif not isinstance(event, ParticipantAnswered):
        payments.parked_garbage[parked.record] += 1
    elif not _may_be_parked(event, orders):
        payments.problems.append(Problem(Invariant.ENDS_ONCE, f"parked for no reason: {parked.reason}: {event}"))


def _digest(record: bytes) -> bytes:
    return sha256(record).digest()


def _may_be_parked(answer: ParticipantAnswered, orders: Mapping[str, Order]) -> bool:
    """Say whether an answer may contradict what was decided before.

    Its receiver may contradict itself; an answer names a transaction, so it may meet another order than the one that
    it answers, where two accounts have claimed one transaction; and after a day nothing of the transaction is known.
    """
    return any(
        order.answers in _CONTRADICTING
        or order.kind is OrderKind.STOLEN
        or answer.answered_us - order.transfer.accepted_us > _CLAIMS_KEPT_US
        for order in orders.values()
        if order.transfer.transaction_id == answer.transaction_id
    )


def problems_of_payments(
    payments: Payments, orders: Mapping[str, Order], sent: Sequence[str], garbage: Sequence[bytes]
) -> Iterator[Problem]:
    """Yield every order that did not end as it may, and everything that settled twice."""
    yield from payments.problems
    for payment_id in sent:
        yield from _one_ending(payments, orders[payment_id])
    for payment_id in payments.endings:
        if payment_id not in orders:
            yield Problem(Invariant.ENDS_ONCE, f"{payment_id} ended, and was never ordered")
    for record, arrivals in Counter(garbage).items():
        times = payments.parked_garbage.pop(_digest(record), 0)
        if times != arrivals:
            text = f"{record[:_SHOWN_BYTES]!r} arrived {arrivals} times and was parked {times} times"
            yield Problem(Invariant.ENDS_ONCE, text)
    for digest in payments.parked_garbage:
        yield Problem(Invariant.ENDS_ONCE, f"parked, and never sent: a record with SHA-256 {digest.hex()}")
    yield from _settled_once(payments, orders)
    yield from _told_alike(payments, orders)


def _one_ending(payments: Payments, order: Order) -> Iterator[Problem]:
    payment_id = order.payment_id
    endings = list(payments.endings.get(payment_id, ()))
    if not endings and payment_id in payments.unknown:
        endings = [Ending.LIMBO]
    if endings and set(endings) <= _AGAIN_ENDINGS and len(endings) == payments.arrived[payment_id]:
        del endings[1:]  # each arrival of an order that is none of its own is answered
    if len(endings) != 1:
        times = " and ".join(endings) or "nothing"
        invariant = Invariant.SETTLES_AT_MOST_ONCE if endings.count(Ending.SETTLED) > 1 else Invariant.ENDS_ONCE
        yield Problem(invariant, f"{payment_id} ({order.kind}, {order.answers}) ended as {times}")
    elif endings[0] not in order.allowed:
        allowed = ", ".join(sorted(order.allowed))
        yield Problem(
            Invariant.ENDS_ONCE,
            f"{payment_id} ({order.kind}, {order.answers}) was {endings[0]}, but may only be {allowed}",
        )
    elif endings[0] is Ending.REJECTED and payments.rejected_by[payment_id] not in _OUR_OWN and not _rejects(order):
        refused_by = payments.rejected_by[payment_id]
        yield Problem(Invariant.ENDS_ONCE, f"{payment_id} was rejected by {refused_by}, who did not reject it")


def _rejects(order: Order) -> bool:
    return order.answers in {
        Answers.REJECTS,
        Answers.REJECTS_WHEN_ASKED,
        Answers.CONTRADICTS_FIRST,
        Answers.CONTRADICTS,
    }


def _settled_once(payments: Payments, orders: Mapping[str, Order]) -> Iterator[Problem]:
    used: Counter[object] = Counter()
    for payment_id, settled in payments.settled.items():
        transfer = orders[payment_id].transfer
        bank, transaction_id = transfer.debtor.agent, transfer.transaction_id
        used[transfer.uetr] += 1
        used[bank, transfer.debtor.account, transaction_id] += 1
        if settled.debtor_settlement_account:  # what stays inside one bank has no identity of a scheme
            used[bank, transaction_id] += 1
    for identity, times in used.items():
        if times > 1:
            yield Problem(Invariant.SETTLES_AT_MOST_ONCE, f"{identity} was settled {times} times")
    for payment_id, settled in payments.settled.items():
        if settled.amount != orders[payment_id].transfer.amount:
            yield Problem(Invariant.MONEY, f"{payment_id} was settled with {settled.amount}")
        if payments.credited[payment_id] != 1:
            times = payments.credited[payment_id]
            yield Problem(Invariant.SETTLES_AT_MOST_ONCE, f"{payment_id} was credited to its payee {times} times")
    for payment_id in payments.credited:
        if payment_id not in payments.settled:
            yield Problem(Invariant.MONEY, f"{payment_id} was credited to its payee and never settled")


def _told_alike(payments: Payments, orders: Mapping[str, Order]) -> Iterator[Problem]:
    """Both sides of a cleared payment are told how it ended, and never two things."""
    for payment_id, told in payments.confirmed.items():
        for recipient, endings in told.items():
            if endings != {payment_id in payments.settled}:
                yield Problem(Invariant.ENDS_ONCE, f"{recipient} was told {endings} of {payment_id}")
    for payment_id, settled in payments.settled.items():
        if settled.debtor_settlement_account:
            transfer = orders[payment_id].transfer
            for recipient in (transfer.debtor.agent, transfer.creditor.agent):
                if recipient not in payments.confirmed[payment_id]:
                    yield Problem(Invariant.ENDS_ONCE, f"{recipient} was never told that {payment_id} settled")
