"""M: the settlement accounts, posting by posting, from what the clearing took in and put out.

A clearing shard's inputs and outputs share one order, that of positions.  Going through it, this ledger reserves where
the product forwarded, posts where it settled, releases where it said no, credits where a credit came in, and compares
each step with what an honest clearing may do.  Per account, with D = debits - credits of a cycle:

    sum of max(0, D) over closed unsettled cycles + D of the open cycle + reserved + amount <= cap
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agents.streams import CLEARING, OUTBOUND, OUTCOMES
from chaos.auditor.invariants import Invariant, Problem
from chaos.auditor.participants import Participants
from chaos.auditor.payments import Payments, event_of
from chaos.auditor.reading import Reading
from chaos.workload import Order
from pipeline.kernel import system_events
from pipeline.kernel.envelope import FROM_SHARD, Envelope
from pipeline.kernel.hashrange import FULL_RANGE, HashRange, hash_key, missing_from
from pipeline.kernel.position import POSITION_BYTES, Source
from pipeline.kernel.system_events import CycleClosed
from pipeline.ports import ShardDescription
from schemas.events import (
    CycleNetted,
    CycleSettled,
    NetPosition,
    PaymentExpired,
    PaymentForwarded,
    PaymentRejected,
    PaymentSettled,
    PaymentUnknown,
    SettlementCredited,
)

_BEHIND_OUTPUTS = b"\xff" * 4
_OVER_CAP = frozenset({"AM23", "9912"})


class Step(NamedTuple):
    """Something that happens in a clearing shard."""

    place: bytes
    """Position, then the output's index; what came in is behind what it put out."""
    now_us: int
    event: object


@dataclass
class Account:
    """A settlement account as it should be."""

    name: str
    reserved: dict[str, int] = field(default_factory=dict)
    """By payment."""
    net_debit: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """D by cycle."""
    closed: int = -1
    final: int = -1

    @property
    def hashed(self) -> int:
        """The hash of its key."""
        return int.from_bytes(hash_key(self.name), "big")

    def exposure(self, settled_cycles: set[int]) -> int:
        """Return what counts against the cap."""
        exposure = sum(self.reserved.values())
        for cycle, net_debit in self.net_debit.items():
            if not (cycle in settled_cycles and cycle <= self.final):
                exposure += net_debit if cycle == self.closed + 1 else max(0, net_debit)
        return exposure


class Ledger:
    """All settlement accounts, shard by shard."""

    def __init__(
        self,
        readings: Mapping[str, Reading],
        payments: Payments,
        orders: Mapping[str, Order],
        participants: Participants,
    ) -> None:
        self._payments = payments
        self._orders = orders
        self._participants = participants
        self._caps = participants.caps
        self._accounts = {name: Account(name) for name in self._caps}
        self._claimed: dict[object, str] = {}
        """Which payment has a scheme's identity or a UETR, whatever became of it."""
        self._forwarded: dict[str, PaymentForwarded] = {}
        self._credited: dict[str, SettlementCredited] = {}
        self._netted: dict[int, list[CycleNetted]] = defaultdict(list)
        self._settled_cycles: dict[str, set[int]] = {}
        self._steps = _steps_by_shard(readings)
        self._shards = readings[CLEARING].shards

    def problems(self) -> Iterator[Problem]:
        """Go through everything that happened, and yield what should not have."""
        for shard in self._shards:
            known = [self._settled_cycles[parent] for parent in shard.parents]
            settled = self._settled_cycles[shard.shard_id] = set().union(*known)
            for step in self._steps[shard.shard_id]:
                yield from (Problem(Invariant.MONEY, text) for text in self._take(step, shard, settled))
        yield from (Problem(Invariant.MONEY, text) for text in self._at_the_end())

    def _take(self, step: Step, shard: ShardDescription, settled: set[int]) -> Iterator[str]:
        event = step.event
        if isinstance(event, PaymentForwarded):
            yield from self._reserve(event, settled)
        elif isinstance(event, PaymentSettled):
            yield from self._post(event, step.now_us)
        elif isinstance(event, PaymentRejected):
            yield from self._refuse(event, settled)
        elif isinstance(event, PaymentExpired | PaymentUnknown):
            yield from self._expire(event, step.now_us)
        elif isinstance(event, SettlementCredited):
            yield from self._credit(event)
        elif isinstance(event, CycleSettled):
            settled.add(event.cycle)
        elif isinstance(event, CycleClosed):
            for account in self._inside(event.first, event.last):
                account.closed = max(account.closed, event.cycle)
        elif isinstance(event, CycleNetted):
            yield from self._finalise(event, shard)

    def _reserve(self, forwarded: PaymentForwarded, settled: set[int]) -> Iterator[str]:
        payment_id, amount = forwarded.transfer.payment_id, forwarded.transfer.amount.minor
        account = self._accounts[forwarded.settlement_account]
        if payment_id in self._forwarded:
            yield f"{payment_id} was forwarded twice"
        self._forwarded[payment_id] = forwarded
        for holder in self._claim(payment_id) - {payment_id}:
            yield f"{payment_id} was forwarded, and its identity belongs to {holder}"
        exposure = account.exposure(settled)
        if exposure + amount > self._caps[account.name]:
            yield f"{payment_id} of {amount} was forwarded with {account.name} exposed with {exposure} of its cap"
        account.reserved[payment_id] = amount

    def _claim(self, payment_id: str) -> set[str]:
        """Claim what no other payment has claimed, and return who holds the identity and the UETR."""
        transfer = self._orders[payment_id].transfer
        identities = ((transfer.debtor.agent, transfer.transaction_id), transfer.uetr)
        return {self._claimed.setdefault(identity, payment_id) for identity in identities}

    def _post(self, event: PaymentSettled, now_us: int) -> Iterator[str]:
        account = self._accounts[event.debtor_settlement_account]
        forwarded = self._forwarded.get(event.payment_id)
        if forwarded is None or account.reserved.pop(event.payment_id, None) != event.amount.minor:
            yield f"{event.payment_id} was posted without its reservation"
            return
        if event.cycle != account.closed + 1:
            yield f"{event.payment_id} was posted to cycle {event.cycle}, while {account.closed + 1} was open"
        if forwarded.transfer.creditor.agent not in self._participants.foreign and now_us >= forwarded.deadline_us:
            yield f"{event.payment_id} settled {now_us - forwarded.deadline_us} us behind its deadline"
        account.net_debit[event.cycle] += event.amount.minor

    def _refuse(self, event: PaymentRejected, settled: set[int]) -> Iterator[str]:
        order = self._orders[event.payment_id]
        transfer = order.transfer
        account = self._accounts[self._participants.settlement_account(transfer.debtor.agent, transfer.amount.currency)]
        if event.refused_by == "clearing":
            self._claim(event.payment_id)
            over_cap = event.reason in _OVER_CAP and "cap" in event.explanations[0]
            if over_cap and account.exposure(settled) + order.transfer.amount.minor <= self._caps[account.name]:
                yield f"{event.payment_id} was refused by a cap that it does not pass"
        elif account.reserved.pop(event.payment_id, None) is None:
            yield f"{event.payment_id} was rejected by {event.refused_by} without a reservation"

    def _expire(self, event: PaymentExpired | PaymentUnknown, now_us: int) -> Iterator[str]:
        payment_id = event.payment_id
        forwarded = self._forwarded.get(payment_id)
        if forwarded is None:
            yield f"{payment_id} expired, and was never forwarded"
            return
        account = self._accounts[forwarded.settlement_account]
        if now_us < forwarded.deadline_us:
            yield f"{payment_id} expired {forwarded.deadline_us - now_us} us before its deadline"
        if isinstance(event, PaymentExpired) and account.reserved.pop(payment_id, None) is None:
            yield f"{payment_id} expired without a reservation"

    def _credit(self, credit: SettlementCredited) -> Iterator[str]:
        settled = self._payments.settled.get(credit.payment_id)
        if credit.payment_id in self._credited:
            yield f"{credit.payment_id} was credited twice"
        self._credited[credit.payment_id] = credit
        if settled is None:
            yield f"{credit.payment_id} was credited and never settled"
            return
        expected = (settled.creditor_settlement_account, settled.amount, settled.cycle)
        if (credit.account, credit.amount, credit.cycle) != expected:
            yield f"{credit} does not belong to {settled}"
        account = self._accounts[credit.account]
        if credit.cycle <= account.final:
            yield f"{credit.payment_id} was credited to cycle {credit.cycle}, which was final"
        account.net_debit[credit.cycle] -= credit.amount.minor

    def _finalise(self, netted: CycleNetted, shard: ShardDescription) -> Iterator[str]:
        self._netted[netted.cycle].append(netted)
        expected = []
        for account in self._inside(netted.first, netted.last):
            if netted.cycle != account.final + 1 or netted.cycle > account.closed:
                yield (
                    f"{shard.shard_id} finalised cycle {netted.cycle} of {account.name} behind {account.final}, "
                    f"with {account.closed} closed"
                )
            account.final = netted.cycle
            net_debit = account.net_debit.get(netted.cycle, 0)
            if net_debit:
                expected.append(NetPosition(account.name, account.name.rpartition("/")[2], -net_debit))
        if tuple(sorted(expected, key=lambda net: net.account)) != netted.positions:
            yield f"cycle {netted.cycle} was netted as {netted.positions}, and its payments come to {expected}"

    def _at_the_end(self) -> Iterator[str]:
        yield from self._left_open()
        for cycle, pieces in sorted(self._netted.items()):
            yield from _balance(cycle, pieces)
        for account in self._accounts.values():
            for cycle, net_debit in account.net_debit.items():
                if net_debit and cycle not in self._netted:
                    yield f"cycle {cycle} of {account.name} was never netted"

    def _left_open(self) -> Iterator[str]:
        in_limbo = set(self._payments.in_limbo())
        for account in self._accounts.values():
            for payment_id in account.reserved.keys() - in_limbo:
                yield f"{payment_id} still holds its reservation in {account.name}"
        for payment_id, settled in self._payments.settled.items():
            if settled.debtor_settlement_account and payment_id not in self._credited:
                yield f"{payment_id} was debited and never credited"

    def _inside(self, first: bytes, last: bytes) -> Iterator[Account]:
        for account in self._accounts.values():
            if first <= hash_key(account.name) <= last:
                yield account


def _balance(cycle: int, pieces: Sequence[CycleNetted]) -> Iterator[str]:
    """Yield what is wrong unless a cycle's pieces tile the hash space, and their nets sum to zero per currency."""
    ranges = [HashRange.from_bytes(piece.first, piece.last) for piece in pieces]
    if missing_from(FULL_RANGE, ranges) or sum(part.last - part.first + 1 for part in ranges) != 1 << 128:
        yield f"the pieces that netted cycle {cycle} do not tile the hash space"
    sums: dict[str, int] = defaultdict(int)
    for piece in pieces:
        for position in piece.positions:
            sums[position.currency] += position.net_minor
    if any(sums.values()):
        yield f"the nets of cycle {cycle} sum to {dict(sums)}"


def _steps_by_shard(readings: Mapping[str, Reading]) -> dict[str, list[Step]]:
    """Return everything that happened in each clearing shard, in its order."""
    steps: dict[str, list[Step]] = {shard.shard_id: [] for shard in readings[CLEARING].shards}
    now_us: dict[tuple[str, bytes], int] = {}
    for taken in readings[CLEARING].taken:
        now_us[taken.shard.shard_id, taken.position] = taken.now_us
        event = event_of(taken)
        is_of_a_shard = taken.envelope is not None and taken.envelope.origin == FROM_SHARD
        if is_of_a_shard and isinstance(event, SettlementCredited | CycleSettled):
            place = taken.position + _BEHIND_OUTPUTS
            steps[taken.shard.shard_id].append(Step(place, taken.now_us, event))
    seen = set()
    for stream in (OUTBOUND, OUTCOMES, CLEARING):
        for taken in readings[stream].taken:
            envelope = taken.envelope
            if envelope is None or (envelope.source, envelope.lineage) in seen:
                continue
            event = _output_event(envelope) or event_of(taken)
            source = _clearing_shard(envelope)
            if source is not None and event is not None:
                seen.add((envelope.source, envelope.lineage))
                position = envelope.lineage[:POSITION_BYTES]
                if not isinstance(event, SettlementCredited):
                    steps[source].append(Step(envelope.lineage, now_us.get((source, position), 0), event))
    for happened in steps.values():
        happened.sort(key=lambda step: step.place)
    return steps


def _output_event(envelope: Envelope) -> object:
    if envelope.kind == system_events.kind_of_type[CycleClosed]:
        return system_events.decode(envelope.kind, envelope.version, envelope.body)
    return None


def _clearing_shard(envelope: Envelope) -> str | None:
    """Return the clearing shard that put an output out, or None for another's."""
    if b"/" not in envelope.source:
        return None
    source = Source.unpack(envelope.source)
    return source.shard_id if source.stream == CLEARING else None
