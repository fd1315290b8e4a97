"""What clients ordered and banks answered in a run, as the auditor asks for it: an order, and how it may end.

What was ordered is a function of the run's seed, without asking the product; when it was accepted stands in the record
that the generator put.  What a receiving bank was sent, and how it answers, is in that bank's own books.  Bad data
keeps the number of its submission in its envelope, or has no envelope at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agents.edge.database import read_only
from agents.edge.participants import FILE
from agents.edge.workload.sequence import Kind, Submission, Workload
from agents.streams import OUTBOUND, PAYMENTS
from chaos.auditor.invariants import Invariant, Problem
from chaos.auditor.participants import Participants
from chaos.auditor.payments import event_of
from chaos.auditor.reading import Reading, Recording, Taken
from chaos.workload import Answers, Ending, Order, OrderKind
from pipeline.kernel.envelope import FROM_EDGE
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND
from schemas.events import CreditTransfer, PaymentForwarded, PaymentSubmitted

_REFUSABLE = frozenset({Ending.REJECTED, Ending.HELD})
_COUNTER = slice(8, 16)
"""Of an edge's lineage."""


class Received(NamedTuple):
    """What a bank's books say of a payment."""

    accepted: bool
    answer_us: int | None
    """When it answers of itself, if it does."""
    asked_after_us: int | None
    """How long it takes when it is asked, if it answers then."""


@dataclass
class Ordered:
    """All orders of a run."""

    orders: dict[str, Order] = field(default_factory=dict)
    """By payment id."""
    garbage: list[bytes] = field(default_factory=list)
    """Bad data, as often as it arrived."""
    problems: list[Problem] = field(default_factory=list)


def orders_of(recording: Recording, seed: int, count: int, banks: Path, participants: Participants) -> Ordered:
    """Return what was ordered by the first ``count`` submissions of ``seed``; ``banks`` has their books."""
    ordered = Ordered()
    workload = Workload(seed)
    submissions = {index: workload.at(index) for index in range(count)}
    transfers = _arrived(Reading(recording, PAYMENTS), submissions, ordered)
    deadlines = _deadlines(Reading(recording, OUTBOUND))
    received = _received(banks)
    for submission in submissions.values():
        payment_id = submission.order.payment_id
        if submission.kind is Kind.BAD_DATA or payment_id in ordered.orders:
            continue
        if payment_id not in transfers:
            ordered.problems.append(Problem(Invariant.ENDS_ONCE, f"{payment_id} was ordered, and never arrived"))
            continue
        transfer = transfers[payment_id]
        key = (transfer.debtor.agent, transfer.transaction_id, transfer.creditor.agent)
        is_foreign = transfer.creditor.agent in participants.foreign
        answers, endings = _answers(received.get(key), deadlines.get(payment_id, 0), is_foreign=is_foreign)
        kind, allowed = _kind(submission, transfer, endings)
        ordered.orders[payment_id] = Order(submission.index, kind, transfer, answers, allowed)
    return ordered


def _arrived(reading: Reading, submissions: Mapping[int, Submission], ordered: Ordered) -> dict[str, CreditTransfer]:
    """Return the orders that the log holds, each as it came first; what came must be what was ordered."""
    transfers: dict[str, CreditTransfer] = {}
    spoilt = set()
    for taken in reading.taken:
        index = _index(taken)
        event = event_of(taken)
        if taken.envelope is None or (index is not None and submissions[index].kind is Kind.BAD_DATA):
            ordered.garbage.append(taken.record)
            spoilt.add(taken.record)
        elif index is not None and isinstance(event, PaymentSubmitted):
            transfer = event.transfer
            if transfer != submissions[index].order.accepted(transfer.accepted_us):
                text = f"submission {index} is {submissions[index].order}, and {transfer} arrived"
                ordered.problems.append(Problem(Invariant.ENDS_ONCE, text))
            transfers.setdefault(transfer.payment_id, transfer)
    sent = sum(submission.kind is Kind.BAD_DATA for submission in submissions.values())
    if len(spoilt) != sent:
        text = f"{sent} submissions are bad data, and {len(spoilt)} arrived"
        ordered.problems.append(Problem(Invariant.ENDS_ONCE, text))
    return transfers


def _index(taken: Taken) -> int | None:
    """Return the number of a submission, or None for what is none."""
    envelope = taken.envelope
    if envelope is None or envelope.origin != FROM_EDGE or envelope.kind < FIRST_APPLICATION_KIND:
        return None
    return int.from_bytes(envelope.lineage[_COUNTER], "big")


def _deadlines(reading: Reading) -> dict[str, int]:
    forwarded = (event for event in map(event_of, reading.taken) if isinstance(event, PaymentForwarded))
    return {event.transfer.payment_id: event.deadline_us for event in forwarded}


def _received(banks: Path) -> dict[tuple[str, str, str], Received]:
    """Return what the banks received, by instructing agent, transaction and receiver."""
    connection = read_only(banks / FILE)
    try:
        return dict(_rows(connection))
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[tuple[str, str, str], Received]]:
    query = """
    SELECT instructing_agent, transaction_id, responder, accepted, answer_us, asked_after_us FROM received
    """
    for agent, transaction_id, responder, accepted, answer_us, asked_after_us in connection.execute(query):
        yield (agent, transaction_id, responder), Received(bool(accepted), answer_us, asked_after_us)


def _answers(received: Received | None, deadline_us: int, *, is_foreign: bool) -> tuple[Answers, frozenset[Ending]]:
    """Return how the receiver answers, and how an order that it answers so may end."""
    if is_foreign:
        return _foreign_answers(received)
    if received is None or received.answer_us is None:
        return Answers.NEVER, frozenset({Ending.EXPIRED})
    if received.answer_us >= deadline_us:
        return Answers.ACCEPTS_LATE, frozenset({Ending.EXPIRED})
    if received.accepted:
        return Answers.ACCEPTS, frozenset({Ending.SETTLED, Ending.EXPIRED})
    return Answers.REJECTS, frozenset({Ending.EXPIRED})


def _foreign_answers(received: Received | None) -> tuple[Answers, frozenset[Ending]]:
    """Return the same for a receiver whose clearing waits: what it never got, it says so when it is asked."""
    may_be_open = frozenset({Ending.LIMBO})
    if received is None:
        return Answers.REJECTS_WHEN_ASKED, may_be_open
    if received.answer_us is None and received.asked_after_us is None:
        return Answers.NEVER, may_be_open
    if received.accepted:
        return Answers.ACCEPTS_WHEN_ASKED, frozenset({Ending.SETTLED}) | may_be_open
    return Answers.REJECTS_WHEN_ASKED, may_be_open


def _kind(
    submission: Submission, transfer: CreditTransfer, endings: frozenset[Ending]
) -> tuple[OrderKind, frozenset[Ending]]:
    if submission.kind is Kind.CONFLICT:
        return OrderKind.CONFLICT, frozenset({Ending.CONFLICTED})
    if transfer.debtor.agent == transfer.creditor.agent:
        return OrderKind.BOOK, frozenset({Ending.SETTLED}) | _REFUSABLE
    kind = OrderKind.STOLEN if submission.label == "borrowed" else OrderKind.PLAIN
    return kind, endings | _REFUSABLE
