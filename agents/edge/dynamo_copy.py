"""A copy of the projector's DynamoDB table in SQLite, in memory, for the questions of a report.

DynamoDB answers for a key.  Sums over everything take a scan, whoever asks; so a report scans once, and asks the copy
what it would ask the projector's own SQLite.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final

from agents.edge.projector_queries import ProjectorQueries
from agents.edge.projector_store import SCHEMA
from agents.streams import PAYMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.edge.dynamo_tables import DynamoTables

_PAYMENT: Final = (
    *("rank", "status", "reason", "detail", "minor", "currency", "debtor_settlement_account"),
    *("creditor_settlement_account", "cycle", "accepted_us", "ended_us", "source", "lineage"),
)
_NOTICE: Final = ("source", "lineage", "kind", "payment_id", "of", "reason", "submission", "arrival_us")
_POSITION: Final = ("cycle", "first", "account", "currency", "net_minor")


def copied_queries(tables: DynamoTables) -> ProjectorQueries:
    """Return the questions to what ``tables`` hold now; may be asked in another thread than made in."""
    copy = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    copy.executescript(SCHEMA)
    copy.execute("BEGIN")
    for key, item in tables.items():
        _copy(copy, key, item)
    copy.execute("COMMIT")
    return ProjectorQueries(copy)


def _copy(copy: sqlite3.Connection, key: str, item: Mapping[str, Any]) -> None:
    kind, _, name = key.partition("/")
    match kind:
        case "payment":
            _insert(copy, "payments", name, *map(item.get, _PAYMENT))
        case "contradiction":
            _insert(copy, "contradictions", name, item["status"], item["other"])
        case "notice":
            _insert(copy, "notices", *map(item.get, _NOTICE))
        case "position":
            _insert(copy, "cycle_positions", *map(item.get, _POSITION))
        case "place":
            stream, _, shard_id = name.partition("/")
            if stream == PAYMENTS:
                _insert(copy, "submissions", shard_id, item["count"])


def _insert(copy: sqlite3.Connection, table: str, *values: object) -> None:
    places = ", ".join("?" * len(values))
    copy.execute(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608 - a table of ours
