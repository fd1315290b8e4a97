"""What the projector's tables promise, in SQLite and in DynamoDB: the same again, in any order, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from uuid import uuid4

import pytest

from agents.edge.dynamo_tables import DynamoTables
from agents.edge.errors import EdgeError
from agents.edge.projector import ProjectorTables
from agents.edge.projector_queries import Counts, ProjectorQueries
from agents.edge.projector_store import (
    Changes,
    Heading,
    NoticeKind,
    NoticeRow,
    PaymentRow,
    SqliteTables,
    Status,
)
from agents.edge.reader import Place
from agents.streams import OUTCOMES, PAYMENTS
from tests.aws_under_test import client


class TablesUnderTest:
    """Tables that can be left by a process and found again by the next."""

    def __init__(self, reopen: Callable[[], ProjectorTables], counts: Callable[[], Counts]) -> None:
        self._reopen = reopen
        self.counts = counts
        self.tables = reopen()

    def restart(self) -> None:
        self.tables.close()
        self.tables = self._reopen()

    def write(self, *payments: PaymentRow, notices: Sequence[NoticeRow] = ()) -> None:
        with self.tables.batch(Changes(payments=list(payments), notices=list(notices))):
            pass

    def move(self, stream: str, moved: dict[str, Place], submissions: dict[str, int] | None = None) -> None:
        with self.tables.batch(Changes(submissions=submissions or {})):
            self.tables.store_places(stream, moved)

    def contradictions(self) -> list[tuple[str, str, str]]:
        if isinstance(self.tables, DynamoTables):
            return self.tables.contradictions()
        return self.queries().contradictions()

    def queries(self) -> ProjectorQueries:
        raise NotImplementedError


@pytest.fixture(params=["sqlite", "dynamodb"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> TablesUnderTest:
    if request.param == "sqlite":
        under_test = TablesUnderTest(lambda: SqliteTables(tmp_path), lambda: ProjectorQueries(tmp_path).counts())
        under_test.queries = lambda: ProjectorQueries(tmp_path)  # type: ignore[method-assign]
        return under_test
    dynamodb = client("dynamodb", request.getfixturevalue("aws"))
    name = f"projector-{uuid4()}"
    tables = DynamoTables(dynamodb, name)
    tables.create()
    return TablesUnderTest(lambda: DynamoTables(dynamodb, name), lambda: DynamoTables(dynamodb, name).counts())


def heading(number: int) -> Heading:
    return Heading(b"log/clearing/shard-0", number.to_bytes(24, "big"), 1_000 + number)


def payment(status: Status, number: int, payment_id: str = "pay-1") -> PaymentRow:
    return PaymentRow(payment_id, status, heading(number), minor=100, currency="EUR")


@pytest.mark.parametrize("order", list(permutations((Status.UNKNOWN, Status.HELD, Status.SETTLED))))
def test_a_payment_advances_by_the_order_of_its_statuses_and_never_by_arrival(
    kept: TablesUnderTest, order: tuple[Status, ...]
) -> None:
    for number, status in enumerate(order):
        kept.write(payment(status, number))

    assert kept.counts()[1:] == (1, 0, 0, 0, 0, 0, 0)
    assert kept.contradictions() == []


def test_the_same_outcome_again_changes_nothing(kept: TablesUnderTest) -> None:
    repeat = NoticeRow(NoticeKind.REPEATED, heading(7), "pay-1", "pay-0")
    for _ in range(2):
        kept.write(payment(Status.SETTLED, 1), notices=[repeat, repeat])
        kept.restart()

    assert kept.counts() == Counts(0, 1, 0, 0, 1, 0, 0, 0)
    assert kept.contradictions() == []


@pytest.mark.parametrize(("first", "second"), [(Status.SETTLED, Status.REJECTED), (Status.REJECTED, Status.SETTLED)])
def test_two_final_outcomes_of_one_payment_are_a_contradiction(
    kept: TablesUnderTest, first: Status, second: Status
) -> None:
    kept.write(payment(first, 1))
    kept.write(payment(second, 2))

    assert kept.contradictions() == [("pay-1", first, second)]
    assert kept.counts().settled == 1


def test_submissions_are_counted_with_the_place_that_they_were_read_up_to(kept: TablesUnderTest) -> None:
    kept.move(PAYMENTS, {"shard-0": Place(10, ended=False), "shard-1": Place(4, ended=False)}, {"shard-0": 3})
    kept.restart()
    kept.move(PAYMENTS, {"shard-0": Place(20, ended=False)}, {"shard-0": 2})

    assert kept.counts().submitted == 5
    assert kept.tables.places(PAYMENTS) == {"shard-0": Place(20, ended=False), "shard-1": Place(4, ended=False)}
    assert kept.tables.places(OUTCOMES) == {}


def test_a_shard_that_ends_without_another_record_is_noted(kept: TablesUnderTest) -> None:
    kept.move(OUTCOMES, {"shard-0": Place(10, ended=False)})
    kept.move(OUTCOMES, {"shard-0": Place(10, ended=True)})

    assert kept.tables.places(OUTCOMES) == {"shard-0": Place(10, ended=True)}


def test_tables_of_another_log_are_refused(kept: TablesUnderTest) -> None:
    kept.tables.require_fact("log", "one")
    kept.restart()
    kept.tables.require_fact("log", "one")

    with pytest.raises(EdgeError, match="log = one, not another"):
        kept.tables.require_fact("log", "another")


def test_a_second_projector_on_one_dynamodb_table_stops_at_its_first_write(aws: str) -> None:
    dynamodb = client("dynamodb", aws)
    tables, other = (DynamoTables(dynamodb, "shared") for _ in range(2))
    tables.create()
    with tables.batch(Changes(submissions={"shard-0": 5})):
        tables.store_places(PAYMENTS, {"shard-0": Place(10, ended=False)})

    with pytest.raises(EdgeError, match="another projector writes this table"), other.batch(Changes()):
        other.store_places(PAYMENTS, {"shard-0": Place(8, ended=False)})

    assert tables.counts().submitted == 5


def test_a_payment_in_dynamodb_keeps_what_was_said_of_it_before(aws: str) -> None:
    tables = DynamoTables(client("dynamodb", aws), f"projector-{uuid4()}")
    tables.create()
    rejected = PaymentRow("pay-1", Status.REJECTED, heading(2), "AC04", "FRGNUS33", accepted_us=5)

    with tables.batch(Changes(payments=[payment(Status.UNKNOWN, 1), rejected])):
        pass

    found = tables.payment("pay-1")
    assert found is not None
    assert {name: found[name] for name in ("status", "reason", "minor", "currency", "accepted_us")} == {
        "status": "rejected",
        "reason": "AC04",
        "minor": 100,
        "currency": "EUR",
        "accepted_us": 5,
    }
    assert tables.payment("pay-2") is None
