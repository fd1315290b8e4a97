"""The tables of the projector, and what an outcome does to them.

``payments`` has one row per payment id and advances by the order of statuses, never by arrival: unknown, held,
rejected, expired, settled.  ``notices`` has what is no payment's end of its own - a repeat, a conflict, a parked
record - under the lineage it came with, which is its identity for ever.  Both are written so that the same outcome
again, in whatever order, changes nothing.

Two final outcomes of one payment must never happen.  If they do, the payment stands in ``contradictions``.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from agents.edge.database import EdgeDatabase
from agents.edge.reader import SqlitePlaces

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

FILE: Final = "projector.sqlite"
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS payments (
    payment_id TEXT PRIMARY KEY, rank INTEGER NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, minor INTEGER, currency TEXT,
    debtor_settlement_account TEXT, creditor_settlement_account TEXT, cycle INTEGER,
    accepted_us INTEGER, ended_us INTEGER NOT NULL, source BLOB NOT NULL, lineage BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contradictions (
    payment_id TEXT PRIMARY KEY, status TEXT NOT NULL, other TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notices (
    source BLOB NOT NULL, lineage BLOB NOT NULL, kind TEXT NOT NULL, payment_id TEXT NOT NULL, of TEXT NOT NULL,
    reason TEXT NOT NULL, submission INTEGER NOT NULL, arrival_us INTEGER NOT NULL,
    PRIMARY KEY (source, lineage)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cycle_positions (
    cycle INTEGER NOT NULL, first BLOB NOT NULL, account TEXT NOT NULL, currency TEXT NOT NULL,
    net_minor INTEGER NOT NULL, PRIMARY KEY (cycle, first, account, currency)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS submissions (
    shard_id TEXT PRIMARY KEY, count INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Status(StrEnum):
    """How a payment stands, the later the further."""

    REPEATED = "repeated"
    """It has another payment's identity and content, and is that payment."""
    CONFLICT = "conflict"
    """It has another payment's identity, and other content."""
    UNKNOWN = "unknown"
    HELD = "held"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SETTLED = "settled"


RANKS: Final = {status: rank for rank, status in enumerate(Status)}
FIRST_FINAL_RANK: Final = RANKS[Status.REJECTED]


class NoticeKind(StrEnum):
    """What a notice tells."""

    REPEATED = "repeated"
    CONFLICT = "conflict"
    PARKED = "parked"
    RECALLED = "recalled"
    """A recall of it was answered: ``of`` is the payment that brings the money back, if one does."""


class Heading(NamedTuple):
    """What an outcome's record says beside the event."""

    source: bytes
    lineage: bytes
    arrival_us: int


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """An outcome, as a row of ``payments``."""

    payment_id: str
    status: Status
    heading: Heading
    reason: str = ""
    detail: str = ""
    """Who refused, the explanations, or the counterparty, in words."""
    minor: int | None = None
    currency: str | None = None
    debtor_settlement_account: str | None = None
    creditor_settlement_account: str | None = None
    cycle: int | None = None
    accepted_us: int | None = None


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A row of ``notices``."""

    kind: NoticeKind
    heading: Heading
    payment_id: str = ""
    of: str = ""
    reason: str = ""
    submission: bool = True
    """It is the end of a submission; not so a parked answer or credit."""


@dataclass(slots=True)
class Changes:
    """What a batch writes."""

    payments: list[PaymentRow] = field(default_factory=list)
    notices: list[NoticeRow] = field(default_factory=list)
    positions: list[tuple[int, bytes, str, str, int]] = field(default_factory=list)
    """(cycle, first hash of the piece, settlement account, currency, net in minor units)."""
    submissions: dict[str, int] = field(default_factory=dict)
    """By shard of the payments stream."""


class SqliteTables(SqlitePlaces):
    """The projector's tables in a folder, with its places; a batch is one transaction.

    Commits are not synced: what a loss of power takes back, positions and effects alike, is read again from the log.
    """

    def __init__(self, folder: Path) -> None:
        self._database = EdgeDatabase(folder / FILE, SCHEMA, "NORMAL")
        super().__init__(self._database)

    @contextmanager
    def batch(self, changes: Changes) -> Iterator[None]:
        """Write ``changes`` and what is stored inside the block in one transaction."""
        with self._database.transaction() as connection:
            _write(connection, changes)
            yield

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _write(connection: sqlite3.Connection, changes: Changes) -> None:
    for row in changes.payments:
        source, lineage, arrival_us = row.heading
        rank = RANKS[row.status]
        if rank >= FIRST_FINAL_RANK:
            connection.execute(_CONTRADICT, (row.status, row.payment_id, FIRST_FINAL_RANK, source, lineage))
        accounts = (row.debtor_settlement_account, row.creditor_settlement_account)
        money = (row.minor, row.currency, *accounts, row.cycle)
        standing = (row.payment_id, rank, row.status, row.reason, row.detail)
        connection.execute(_ADVANCE, (*standing, *money, row.accepted_us, arrival_us, source, lineage))
    for notice in changes.notices:
        source, lineage, arrival_us = notice.heading
        said = (notice.kind, notice.payment_id, notice.of, notice.reason, notice.submission)
        connection.execute(_NOTE, (source, lineage, *said, arrival_us))
    connection.executemany(_NET, changes.positions)
    connection.executemany(_COUNT, sorted(changes.submissions.items()))


_ADVANCE = """
INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (payment_id) DO UPDATE SET
    rank = excluded.rank, status = excluded.status, reason = excluded.reason, detail = excluded.detail,
    minor = COALESCE(excluded.minor, minor), currency = COALESCE(excluded.currency, currency),
    debtor_settlement_account = excluded.debtor_settlement_account,
    creditor_settlement_account = excluded.creditor_settlement_account, cycle = excluded.cycle,
    accepted_us = COALESCE(excluded.accepted_us, accepted_us), ended_us = excluded.ended_us,
    source = excluded.source, lineage = excluded.lineage
WHERE excluded.rank > rank
"""
_CONTRADICT = """
INSERT OR IGNORE INTO contradictions
SELECT payment_id, status, ? FROM payments
WHERE payment_id = ? AND rank >= ? AND (source, lineage) != (?, ?)
"""
_NOTE = "INSERT OR IGNORE INTO notices VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_NET = "INSERT OR IGNORE INTO cycle_positions VALUES (?, ?, ?, ?, ?)"
_COUNT = """
INSERT INTO submissions VALUES (?, ?) ON CONFLICT (shard_id) DO UPDATE SET count = count + excluded.count
"""
