"""Where the projector's tables are, as people name them: ``sqlite:DIR`` or ``dynamodb:TABLE``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from agents.edge.errors import EdgeError
from agents.edge.projector_queries import open_queries
from agents.edge.projector_store import FILE, SqliteTables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.edge.dynamo_tables import DynamoTables
    from agents.edge.projector import ProjectorTables

FORMS: Final = "sqlite:DIR | dynamodb:TABLE"
_SQLITE: Final = "sqlite"
_DYNAMODB: Final = "dynamodb"


def open_tables(name: str, region: str | None) -> ProjectorTables:
    """Return the tables called ``name``, made if they are missing; ``EdgeError`` if that names none."""
    kind, place = _parts(name)
    if kind == _SQLITE:
        return SqliteTables(Path(place))
    tables = _dynamo_tables(place, region)
    tables.create()
    return tables


class NoTablesError(EdgeError):
    """No projector has made its tables there, yet."""


class PaymentReader(Protocol):
    """Says how payments stand."""

    def payment(self, payment_id: str) -> Mapping[str, object] | None:
        """Return how a payment stands - status, reason, detail, minor, currency, cycle, times - or None."""

    def recalls(self, payment_id: str) -> list[tuple[str, str]]:
        """Return (reason, payment back) of every answer to a recall of a payment; the latter is empty for a no."""

    def close(self) -> None:
        """Release what is held."""


def open_reader(name: str, region: str | None) -> PaymentReader:
    """Return a reader of the tables called ``name``; ``NoTablesError`` if there are none."""
    kind, place = _parts(name)
    if kind == _DYNAMODB:
        return _dynamo_tables(place, region)
    if (Path(place) / FILE).exists():
        queries = open_queries(Path(place))
        if queries.are_possible():
            return queries
        queries.close()
    raise NoTablesError(f"no projector keeps its tables in {place}")


def find_payment(name: str, region: str | None, payment_id: str) -> Mapping[str, object] | None:
    """Return how a payment stands in the tables called ``name``, or None; ``EdgeError`` if they cannot be read."""
    reader = open_reader(name, region)
    try:
        return reader.payment(payment_id)
    finally:
        reader.close()


def _dynamo_tables(table: str, region: str | None) -> DynamoTables:
    from agents.edge.dynamo_tables import DynamoTables  # noqa: PLC0415 - boto3 takes half a second to import
    from pipeline.stream_logs.kinesis_client import connect_to  # noqa: PLC0415

    return DynamoTables(connect_to("dynamodb", region, DynamoTables.config()), table)


def _parts(name: str) -> tuple[str, str]:
    kind, _, place = name.partition(":")
    if kind not in {_SQLITE, _DYNAMODB} or not place:
        raise EdgeError(f"{name!r} names no tables of the projector; they are {FORMS}")
    return kind, place
