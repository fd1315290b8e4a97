"""What became of every payment, read from the log alone: none of the product's own books is believed here.

Each stream is read to its end.  What a crash made a worker say again carries the same source and lineage as before, and
is dropped; everything else counts.  Then, for every payment id,

    submissions = endings + repeats + conflicts

with one ending, unless the id is one under which a client wanted something else than before: that is only a conflict.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agents.edge.reader import event_of
from agents.edge.workload.sequence import Kind, Workload
from agents.streams import OUTCOMES, PARKED, PAYMENTS
from pipeline.errors import Poison
from pipeline.kernel.envelope import FROM_SHARD, decode
from pipeline.kernel.system_events import Parked
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock
from schemas.events import (
    PaymentConflicted,
    PaymentExpired,
    PaymentHeld,
    PaymentRejected,
    PaymentRepeated,
    PaymentSettled,
    PaymentSubmitted,
    PaymentUnknown,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from demo.run import Plan
    from pipeline.ports import Log

READ_AT_ONCE = 2_000
"""User records."""
ENDINGS = (PaymentSettled, PaymentRejected, PaymentExpired, PaymentHeld)
AGAIN = (PaymentRepeated, PaymentConflicted)


@dataclass
class Audit:
    """What the log holds, by payment id."""

    submitted: Counter[str] = field(default_factory=Counter)
    """How often a readable order was put."""
    outcomes: dict[str, Counter[type]] = field(default_factory=dict)
    parked: list[Parked] = field(default_factory=list)

    def settled(self) -> list[str]:
        """Return the payments that settled."""
        return [payment_id for payment_id, told in self.outcomes.items() if told[PaymentSettled]]

    def settled_twice(self) -> list[str]:
        """Return the payments that settled more than once."""
        return [payment_id for payment_id, told in self.outcomes.items() if told[PaymentSettled] > 1]

    def not_ended_once(self) -> dict[str, str]:
        """Return the payments whose outcomes are not one ending and a repeat or a conflict for each further order."""
        wrong = {}
        for payment_id in sorted(self.submitted.keys() | self.outcomes.keys()):
            told = self.outcomes.get(payment_id, Counter())
            endings = sum(told[ending] for ending in ENDINGS) or min(told[PaymentUnknown], 1)
            again = sum(told[kind] for kind in AGAIN)
            ended_once = endings == 1 or (endings == 0 and told[PaymentConflicted] > 0)
            if not ended_once or endings + again != self.submitted[payment_id]:
                wrong[payment_id] = f"{self.submitted[payment_id]} submitted, told: {_names(told)}"
        return wrong

    def never_submitted(self, payment_ids: Iterable[str]) -> list[str]:
        """Return those of ``payment_ids`` that the log does not hold."""
        return [payment_id for payment_id in payment_ids if payment_id not in self.submitted]


def audit(log_folder: Path) -> Audit:
    """Return what the log in ``log_folder`` says."""
    log = LocalLog(log_folder, SystemClock())
    try:
        return asyncio.run(audit_log(log))
    finally:
        log.close()


def orders_of(seed: int, count: int) -> list[str]:
    """Return the payment ids of the readable orders among the first ``count`` submissions of a workload."""
    workload = map(Workload(seed).at, range(count))
    return [each.order.payment_id for each in workload if each.kind is not Kind.BAD_DATA]


def assert_every_payment_ended_once(plan: Plan) -> Audit:
    """Assert that the log holds all that ``plan`` submits, and that all of it ended, once; return what it holds."""
    found = audit(plan.log_folder)
    orders = orders_of(plan.seed, plan.count)
    assert found.never_submitted(orders) == []
    assert found.settled_twice() == []
    assert found.not_ended_once() == {}
    return found


async def audit_log(log: Log) -> Audit:
    """Return what ``log`` says."""
    found = Audit()
    for event in await _events(log, PAYMENTS):
        if isinstance(event, PaymentSubmitted):
            found.submitted[event.transfer.payment_id] += 1
    for event in await _events(log, OUTCOMES):
        if isinstance(event, (*ENDINGS, *AGAIN, PaymentUnknown)):
            found.outcomes.setdefault(event.payment_id, Counter())[type(event)] += 1
    found.parked = [event for event in await _events(log, PARKED) if isinstance(event, Parked)]
    return found


async def _events(log: Log, stream: str) -> list[object]:
    """Return every readable event of ``stream``, what shards said again left out."""
    said: set[tuple[bytes, bytes]] = set()
    events = []
    for record in await _user_records(log, stream):
        try:
            envelope = decode(record)
            event = event_of(envelope)
        except Poison:
            continue
        identity = (envelope.source, envelope.lineage)
        if envelope.origin == FROM_SHARD and identity in said:
            continue
        said.add(identity)
        events.append(event)
    return events


async def _user_records(log: Log, stream: str) -> list[bytes]:
    found: list[bytes] = []
    for shard in await log.shards(stream):
        after = 0
        while (given := await log.read(stream, shard.shard_id, after, READ_AT_ONCE)).records:
            after = given.records[-1].sequence
            found += (user_record for record in given.records for user_record in record.user_records)
    return found


def _names(told: Counter[type]) -> str:
    return ", ".join(f"{kind.__name__} {times}" for kind, times in told.items()) or "nothing"
