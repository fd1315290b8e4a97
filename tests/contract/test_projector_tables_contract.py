"""What the projector's tables promise, in SQLite and in DynamoDB: the same again, in any order, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from uuid import uuid4

import pytest

from agents.edge.dynamo_copy import copied_queries
from agents.edge.dynamo_tables import DynamoTables
from agents.edge.errors import EdgeError
from agents.edge.projector import ProjectorTables
from agents.edge.projector_queries import Counts, Net, ProjectorQueries, open_queries
from agents.edge.projector_store import (
    Changes,
    Heading,
    NoticeKind,
    NoticeRow,
    PaymentRow,
    SqliteTables,
    Status,
)
from agents.edge.projector_tables import find_payment, open_tables
from agents.edge.reader import Place
from agents.streams import OUTCOMES, PAYMENTS
from tests.aws_under_test import REGION, client


class TablesUnderTest:
    """Tables that can be left by a process and found again by the next."""

    def __init__(self, reopen: Callable[[], ProjectorTables], queries: Callable[[], ProjectorQueries]) -> None:
        self._reopen = reopen
        self.queries = queries
        """To what is there when they are asked for."""
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

    def counts(self) -> Counts:
        return self.queries().counts()

    def payment(self, payment_id: str) -> Mapping[str, object] | None:
        """Return how a payment stands, as each asks for one."""
        return (
            self.tables.payment(payment_id)
            if isinstance(self.tables, DynamoTables)
            else self.queries().payment(payment_id)
        )

    def contradictions(self) -> list[tuple[str, str, str]]:
        return self.queries().contradictions()


@pytest.fixture(params=["sqlite", "dynamodb"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> TablesUnderTest:
    if request.param == "sqlite":
        return TablesUnderTest(lambda: SqliteTables(tmp_path), lambda: open_queries(tmp_path))
    dynamodb = client("dynamodb", request.getfixturevalue("aws"))
    name = f"projector-{uuid4()}"
    tables = DynamoTables(dynamodb, name)
    tables.create()
    return TablesUnderTest(lambda: DynamoTables(dynamodb, name), lambda: copied_queries(DynamoTables(dynamodb, name)))


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


@pytest.mark.parametrize("back", ["pay-back", ""])
def test_what_was_answered_to_a_recall_is_found_by_its_payment(kept: TablesUnderTest, back: str) -> None:
    answered = NoticeRow(NoticeKind.RECALLED, heading(7), "pay-1", back, "FOCR", submission=False)
    for _ in range(2):
        kept.write(payment(Status.SETTLED, 1), notices=[answered])

    reader = kept.tables if isinstance(kept.tables, DynamoTables) else kept.queries()

    assert (reader.recalls("pay-1"), reader.recalls("pay-0")) == ([("FOCR", back)], [])


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

    assert copied_queries(tables).counts().submitted == 5


def test_a_payment_keeps_what_was_said_of_it_before(kept: TablesUnderTest) -> None:
    rejected = PaymentRow("pay-1", Status.REJECTED, heading(2), "AC04", "FRGNUS33", accepted_us=5)

    kept.write(payment(Status.UNKNOWN, 1), rejected)

    found = kept.payment("pay-1")
    assert found is not None
    assert {name: found[name] for name in ("status", "reason", "minor", "currency", "accepted_us")} == {
        "status": "rejected",
        "reason": "AC04",
        "minor": 100,
        "currency": "EUR",
        "accepted_us": 5,
    }
    assert kept.payment("pay-2") is None


def test_a_batch_that_is_delivered_again_behind_a_crash_before_its_places_changes_nothing(
    kept: TablesUnderTest,
) -> None:
    repeat = NoticeRow(NoticeKind.REPEATED, heading(9), "pay-1", "pay-0")
    net = (3, bytes(16), "BANKDEFF/EUR", "EUR", -100)
    changes = Changes([payment(Status.UNKNOWN, 1), payment(Status.SETTLED, 2)], [repeat], [net], {"shard-0": 3})
    with pytest.raises(InterruptedError), kept.tables.batch(changes):
        raise InterruptedError
    kept.restart()

    with kept.tables.batch(changes):
        kept.tables.store_places(PAYMENTS, {"shard-0": Place(10, ended=False)})

    assert kept.counts() == Counts(3, 1, 0, 0, 1, 0, 0, 0)
    assert kept.queries().nets() == [Net(3, "BANKDEFF/EUR", "EUR", -100)]
    assert kept.contradictions() == []


def test_tables_are_found_by_their_name(tmp_path: Path, aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL": aws, "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in (f"sqlite:{tmp_path}", f"dynamodb:projector-{uuid4()}"):
        tables = open_tables(name, REGION)
        with tables.batch(Changes([payment(Status.HELD, 1)])):
            pass
        found = find_payment(name, REGION, "pay-1")
        assert found is not None
        assert found["status"] == "held"
    for name in ("sqlite", "dynamodb:", "mongodb:x", f"sqlite:{tmp_path / 'none'}", f"dynamodb:none-{uuid4()}"):
        with pytest.raises(EdgeError):
            find_payment(name, REGION, "pay-1")
