"""What the projector's tables say: how one payment stands, and the questions of a report.

The counts are disjoint, and every submission is in exactly one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agents.edge.database import read_only
from agents.edge.projector_store import FILE, NoticeKind, Status

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path


class Counts(NamedTuple):
    """How the submissions stand."""

    submitted: int
    settled: int
    rejected: int
    """Refused, or expired."""
    held: int
    repeated: int
    conflicts: int
    parked: int
    limbo: int

    @property
    def in_flight(self) -> int:
        """Submissions that have not ended yet; below 0 if something ended that nobody submitted."""
        return self.submitted - sum(self[1:])


class Limbo(NamedTuple):
    """Payments whose outcome nobody knows, of one currency."""

    currency: str
    payments: int
    minor: int
    oldest_since_us: int
    """When the log was first told so of any of them."""


class Net(NamedTuple):
    """What a settlement account owes (below zero) or is owed of a cycle."""

    cycle: int
    account: str
    currency: str
    net_minor: int


def open_queries(folder: Path) -> ProjectorQueries:
    """Return the questions to the tables in ``folder``."""
    return ProjectorQueries(read_only(folder / FILE))


class ProjectorQueries:
    """Reads the projector's tables in SQLite, while it writes them or not."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def are_possible(self) -> bool:
        """Say whether the projector has made its tables yet."""
        (tables,) = self._connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'payments'").fetchone()
        return bool(tables)

    def payment(self, payment_id: str) -> Mapping[str, object] | None:
        """Return how a payment stands - status, reason, detail, minor, currency, cycle, times - or None."""
        found = self._connection.execute("SELECT * FROM payments WHERE payment_id = ?", (payment_id,))
        names = [column[0] for column in found.description]
        row = found.fetchone()
        return None if row is None else {k: v for k, v in zip(names, row, strict=True) if v is not None}

    def counts(self) -> Counts:
        """Return how many submissions there are of each ending, as of one moment."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            statuses = dict(connection.execute("SELECT status, COUNT(*) FROM payments GROUP BY status"))
            notices = dict(connection.execute("SELECT kind, COUNT(*) FROM notices WHERE submission GROUP BY kind"))
            (submitted,) = connection.execute("SELECT COALESCE(SUM(count), 0) FROM submissions").fetchone()
        finally:
            connection.execute("COMMIT")
        return Counts(
            submitted=submitted,
            settled=statuses.get(Status.SETTLED, 0),
            rejected=statuses.get(Status.REJECTED, 0) + statuses.get(Status.EXPIRED, 0),
            held=statuses.get(Status.HELD, 0),
            repeated=notices.get(NoticeKind.REPEATED, 0),
            conflicts=notices.get(NoticeKind.CONFLICT, 0),
            parked=notices.get(NoticeKind.PARKED, 0),
            limbo=statuses.get(Status.UNKNOWN, 0),
        )

    def reasons(self) -> list[tuple[str, str, int]]:
        """Return (status, reason, count) of what did not settle, most frequent first."""
        rows = self._connection.execute(
            "SELECT status, reason, COUNT(*) AS count FROM payments WHERE status NOT IN (?, ?, ?) "
            "GROUP BY status, reason ORDER BY count DESC, status, reason",
            (Status.SETTLED, Status.REPEATED, Status.CONFLICT),
        )
        return rows.fetchall()

    def limbo(self) -> list[Limbo]:
        """Return count, value and age of what is in limbo, by currency."""
        rows = self._connection.execute(
            "SELECT currency, COUNT(*), SUM(minor), MIN(ended_us) FROM payments WHERE status = ? "
            "GROUP BY currency ORDER BY currency",
            (Status.UNKNOWN,),
        )
        return [Limbo(*row) for row in rows]

    def settled_sums(self) -> dict[str, int]:
        """Return what settled, in minor units by currency."""
        rows = self._connection.execute(
            "SELECT currency, SUM(minor) FROM payments WHERE status = ? GROUP BY currency ORDER BY currency",
            (Status.SETTLED,),
        )
        return dict(rows.fetchall())

    def nets(self) -> list[Net]:
        """Return the net positions told per cycle and settlement account; their pieces are added up."""
        rows = self._connection.execute(
            "SELECT cycle, account, currency, SUM(net_minor) FROM cycle_positions "
            "GROUP BY cycle, account, currency ORDER BY cycle, account, currency"
        )
        return [Net(*row) for row in rows]

    def recalls(self, payment_id: str) -> list[tuple[str, str]]:
        """Return (reason, payment back) of every answer to a recall of a payment; the latter is empty for a no."""
        rows = self._connection.execute(
            "SELECT reason, of FROM notices WHERE kind = ? AND payment_id = ? ORDER BY arrival_us",
            (NoticeKind.RECALLED, payment_id),
        )
        return rows.fetchall()

    def expected_nets(self) -> list[Net]:
        """Return the net positions that the settled payments add up to: a second way to :meth:`nets`."""
        rows = self._connection.execute(
            """
            SELECT cycle, account, currency, SUM(net) FROM (
                SELECT cycle, debtor_settlement_account AS account, currency, -minor AS net
                FROM payments WHERE status = :settled AND cycle >= 0
                UNION ALL
                SELECT cycle, creditor_settlement_account, currency, minor
                FROM payments WHERE status = :settled AND cycle >= 0
            ) GROUP BY cycle, account, currency ORDER BY cycle, account, currency
            """,
            {"settled": Status.SETTLED},
        )
        return [Net(*row) for row in rows]

    def settlement_latencies_us(self) -> list[int]:
        """Return, sorted, the microseconds from acceptance until the log had the settlement."""
        rows = self._connection.execute(
            "SELECT ended_us - accepted_us AS latency FROM payments WHERE status = ? ORDER BY latency",
            (Status.SETTLED,),
        )
        return [latency for (latency,) in rows]

    def contradictions(self) -> list[tuple[str, str, str]]:
        """Return (payment id, status, other status) of payments that ended twice; anything here is an alarm."""
        rows = self._connection.execute("SELECT payment_id, status, other FROM contradictions ORDER BY payment_id")
        return rows.fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
