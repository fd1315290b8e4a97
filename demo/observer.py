"""Watches the streams while the demo runs, with a clock of its own: how many, how fast, how far behind.

A latency is measured from the moment the order was accepted at the edge until the observer has read the answer from
the log, durable: what a client would see, and nothing that a worker says of itself.  A decision is the first answer
about a payment: its way into the clearing, or the outcome of the authorise stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.edge.database import EdgeDatabase
from agents.edge.projections import is_submission
from agents.edge.reader import Arrived, SqlitePlaces, StreamTail, event_of
from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from demo.latencies import Latencies
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND
from pipeline.ports import Clock, Log
from schemas.codec import KINDS
from schemas.events import (
    PaymentAuthorised,
    PaymentHeld,
    PaymentRejected,
    PaymentSettled,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS latencies (
    source BLOB NOT NULL, lineage BLOB NOT NULL, what TEXT NOT NULL,
    latency_us INTEGER NOT NULL, seen_us INTEGER NOT NULL,
    PRIMARY KEY (source, lineage, what)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen ON latencies (what, seen_us);
CREATE TABLE IF NOT EXISTS submitted (records INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL);
"""
SHARD_BATCH_MAX = 2_000
"""User records of one read: who is slower than the streams measures himself."""
DECISION = "decision"
SETTLED = "settled"
_AUTHORISED = next(kind for kind, event_type in KINDS.items() if event_type is PaymentAuthorised)


class Observer:
    """Tails the streams and remembers what it saw, so that a demo that is started again goes on."""

    def __init__(self, log: Log, clock: Clock, folder: Path) -> None:
        self._clock = clock
        self._database = EdgeDatabase(folder / "observer.sqlite", _SCHEMA, "NORMAL")
        places = SqlitePlaces(self._database)
        self._tails = [StreamTail(log, stream, places, SHARD_BATCH_MAX) for stream in (PAYMENTS, CLEARING, OUTCOMES)]
        row = self._database.connection.execute("SELECT records, first_us, last_us FROM submitted").fetchone()
        self.submitted: int
        self._first_us: int
        self._last_us: int
        self.submitted, self._first_us, self._last_us = row or (0, 0, 0)

    async def look(self) -> bool:
        """Read what is new; say whether there was anything."""
        found = False
        for tail in self._tails:
            arrived = await tail.read()
            if not tail.moved:
                continue
            found = True
            rows = self._note(arrived, self._clock.now_us())
            with self._database.transaction() as connection:
                connection.executemany("INSERT OR IGNORE INTO latencies VALUES (?, ?, ?, ?, ?)", rows)
                connection.execute("DELETE FROM submitted")
                connection.execute(
                    "INSERT INTO submitted VALUES (?, ?, ?)", (self.submitted, self._first_us, self._last_us)
                )
                tail.store()
        return found

    @property
    def behind_records(self) -> int:
        """User records that were in the log behind what was read last."""
        return sum(tail.behind_records for tail in self._tails)

    @property
    def seconds_of_submissions(self) -> float:
        """From the arrival of the first submission to that of the last."""
        return (self._last_us - self._first_us) / 1_000_000

    def latencies(self, what: str, since_us: int = 0) -> Latencies:
        """Return every latency of ``what`` seen since then, of each payment once."""
        rows = self._database.connection.execute(
            "SELECT latency_us FROM latencies WHERE what = ? AND seen_us >= ?", (what, since_us)
        )
        return Latencies([latency_us / 1000 for (latency_us,) in rows])

    def settled_per_second(self) -> list[int]:
        """Return how many payments ended in each second since the first submission."""
        rows = self._database.connection.execute(
            "SELECT (seen_us - ?) / 1000000, count(*) FROM latencies WHERE what = ? GROUP BY 1 ORDER BY 1",
            (self._first_us, SETTLED),
        ).fetchall()
        counts = dict(rows)
        return [counts.get(second, 0) for second in range(max(counts, default=-1) + 1)]

    def close(self) -> None:
        """Close the observer's store."""
        self._database.close()

    def _note(self, arrived: Sequence[Arrived], seen_us: int) -> list[tuple[bytes, bytes, str, int, int]]:
        rows = []
        for record in arrived:
            if record.stream == PAYMENTS:
                self._count_submission(record)
            elif record.envelope is not None:
                for what, accepted_us in _answers(record):
                    row = (record.envelope.source, record.envelope.lineage, what, seen_us - accepted_us, seen_us)
                    rows.append(row)
        return rows

    def _count_submission(self, record: Arrived) -> None:
        if is_submission(record.envelope):
            self.submitted += 1
            self._first_us = self._first_us or record.arrival_us
            self._last_us = record.arrival_us


def _answers(record: Arrived) -> list[tuple[str, int]]:
    """Return what a record answers about a payment, and when that payment was accepted."""
    envelope = record.envelope
    if envelope is None or envelope.kind < FIRST_APPLICATION_KIND:
        return []
    if record.stream == CLEARING and envelope.kind != _AUTHORISED:
        return []
    event = event_of(envelope)
    if isinstance(event, PaymentAuthorised):
        return [(DECISION, event.transfer.accepted_us)]
    if isinstance(event, PaymentSettled):
        inside_one_bank = event.cycle < 0
        return [(SETTLED, event.accepted_us)] + [(DECISION, event.accepted_us)] * inside_one_bank
    if isinstance(event, PaymentHeld) or (isinstance(event, PaymentRejected) and event.refused_by == "authorise"):
        return [(DECISION, event.accepted_us)]
    return []
