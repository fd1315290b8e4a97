"""The projector's tables say what became of every payment, in whatever order and how often they are told."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest

from agents.edge.errors import EdgeError
from agents.edge.producer import EdgeProducer, Identity
from agents.edge.projector import Projector
from agents.edge.projector_queries import Counts, Limbo, Net, ProjectorQueries, open_queries
from agents.edge.projector_store import FILE, SqliteTables
from agents.streams import OUTCOMES, PARKED, PAYMENTS
from pipeline.errors import Poison
from pipeline.kernel.agent import Output
from pipeline.kernel.hashrange import FULL_RANGE, HashRange
from pipeline.kernel.position import Source
from pipeline.kernel.system_events import Parked, SourceEnded, Tick
from pipeline.stream_logs.memory import MemoryLog
from schemas.events import (
    CycleNetted,
    NetPosition,
    ParticipantAnswered,
    ParticipantListed,
    PaymentAuthorised,
    PaymentConflicted,
    PaymentExpired,
    PaymentHeld,
    PaymentRejected,
    PaymentRepeated,
    PaymentSettled,
    PaymentSubmitted,
    PaymentUnknown,
    RecallAnswered,
)
from tests.builders import BANK_A, BANK_B, a_participant, a_transfer, eur
from tests.unit.edge.upstream import Upstream, a_memory_log, now, put_raw
from tests.virtual_clock import VirtualClock

ID = "payment-1"
ACCEPTED_US = 1_000
ACCOUNT_A, ACCOUNT_B = f"{BANK_A}/EUR", f"{BANK_B}/EUR"


def settled(payment_id: str = ID, *, amount: str = "10.00", cycle: int = 0) -> PaymentSettled:
    return PaymentSettled(payment_id, eur(amount), ACCOUNT_A, ACCOUNT_B, cycle, ACCEPTED_US)


def rejected(payment_id: str = ID) -> PaymentRejected:
    return PaymentRejected(payment_id, "clearing", "AM23", ("over the cap",), ACCEPTED_US)


def unknown(payment_id: str = ID) -> PaymentUnknown:
    return PaymentUnknown(payment_id, eur("10.00"), BANK_B, ACCEPTED_US)


def held(payment_id: str = ID) -> PaymentHeld:
    return PaymentHeld(payment_id, 5_000, ("payee-new",), ACCEPTED_US)


def expired(payment_id: str = ID) -> PaymentExpired:
    return PaymentExpired(payment_id, "AB06", ACCEPTED_US)


class World:
    """A log, the stages upstream and the projector."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.log: MemoryLog = a_memory_log(self.clock)
        self.upstream = Upstream(self.log)
        self.folder = folder
        self.projector = Projector(self.log, SqliteTables(folder))
        self._submitted = 0

    def tell(self, *events: object, stream: str = OUTCOMES) -> list[Output]:
        """Let each of ``events`` come in a batch of its own."""
        outputs = []
        for event in events:
            outputs += self.upstream.emit(stream, "key", event)
            self.turn()
        return outputs

    def tell_together(self, *events: object) -> None:
        self.upstream.emit(OUTCOMES, "key", *events)
        self.turn()

    def submit(self, *events: object) -> None:
        producer = EdgeProducer(self.log, self.clock, Identity(b"test", 1))
        for event in events:
            self._submitted += 1
            now(producer.put([producer.record(PAYMENTS, "key", event, 1, self._submitted)]))
        self.turn()

    def turn(self) -> None:
        while now(self.projector.turn()):
            pass

    def restart(self) -> None:
        self.projector.close()
        self.projector = Projector(self.log, SqliteTables(self.folder))

    def queries(self) -> ProjectorQueries:
        return open_queries(self.folder)

    def counts(self) -> Counts:
        return self.queries().counts()

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Return everything the projector has written, but for how far it has read."""
        connection = sqlite3.connect(self.folder / FILE)
        names = ("payments", "contradictions", "notices", "cycle_positions", "submissions")
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}  # noqa: S608


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def nothing_but(**counts: int) -> Counts:
    return Counts(**{**dict.fromkeys(Counts._fields, 0), **counts})


@pytest.mark.parametrize(
    ("event", "column"),
    [
        (settled(), "settled"),
        (rejected(), "rejected"),
        (expired(), "rejected"),
        (held(), "held"),
        (unknown(), "limbo"),
        (PaymentRepeated(ID, of=ID), "repeated"),
        (PaymentConflicted(ID, of="payment-0"), "conflicts"),
    ],
)
def test_each_outcome_is_counted_under_its_name(world: World, event: object, column: str) -> None:
    world.tell(event)

    assert world.counts() == nothing_but(**{column: 1})


@pytest.mark.parametrize(
    ("event", "status"),
    [(PaymentRepeated(ID, of="payment-0"), "repeated"), (PaymentConflicted(ID, of="payment-0"), "conflict")],
)
def test_a_payment_with_anothers_identity_stands_as_that(world: World, event: object, status: str) -> None:
    world.tell(event)

    standing = world.queries().payment(ID)
    assert standing is not None
    assert (standing["status"], standing["detail"]) == (status, "payment-0")


def test_a_payments_own_repeat_says_nothing_of_how_it_stands(world: World) -> None:
    world.tell(PaymentRepeated(ID, of=ID))
    assert world.queries().payment(ID) is None

    world.tell(settled(), PaymentRepeated(ID, of=ID))
    standing = world.queries().payment(ID)
    assert standing is not None
    assert standing["status"] == "settled"


@pytest.mark.parametrize("final", [settled(), rejected(), expired()])
def test_a_final_outcome_stands_whether_it_comes_before_or_after_limbo(world: World, final: object) -> None:
    world.tell(unknown(), final)
    before = [row[:8] for row in world.tables()["payments"]]
    world.tell(final, unknown())

    assert [row[:8] for row in world.tables()["payments"]] == before
    assert world.counts().limbo == 0


@pytest.mark.parametrize("order", list(itertools.permutations([held(), unknown(), settled()])))
def test_a_row_advances_by_status_and_never_by_arrival(world: World, order: tuple[object, ...]) -> None:
    world.tell_together(*order)

    assert world.counts() == nothing_but(settled=1)
    assert world.queries().contradictions() == []


def test_what_is_delivered_again_changes_nothing(world: World) -> None:
    outputs = world.tell(
        unknown(), settled(), PaymentRepeated(ID, of=ID), rejected("payment-2"), PaymentConflicted("payment-3", of=ID)
    )
    tables = world.tables()

    world.upstream.again(*reversed(outputs))
    world.turn()
    world.restart()
    world.upstream.again(*outputs)
    world.turn()

    assert world.tables() == tables


def test_two_final_outcomes_of_one_payment_are_a_contradiction(world: World) -> None:
    world.tell(rejected(), settled())

    assert world.queries().contradictions() == [(ID, "rejected", "settled")]


def test_a_payment_that_settled_twice_is_a_contradiction(world: World) -> None:
    world.tell_together(settled(), settled())

    assert world.queries().contradictions() == [(ID, "settled", "settled")]


def test_the_client_who_submits_is_counted_and_nobody_else(world: World) -> None:
    world.submit(PaymentSubmitted(a_transfer(1)))
    put_raw(world.log, PAYMENTS, b"not an envelope")
    world.upstream.broadcast(PAYMENTS, a_participant())
    world.upstream.emit(PAYMENTS, "key", Tick())
    world.turn()

    counts = world.counts()
    assert (counts.submitted, counts.in_flight) == (2, 2)


def test_a_submission_that_was_parked_is_in_flight_no_more(world: World) -> None:
    put_raw(world.log, PAYMENTS, b"not an envelope")
    source = Source("log-1", PAYMENTS, "shardId-000000000000").pack().decode()

    world.tell(Parked("too short", source, "1.0", b"not an envelope", b""), stream=PARKED)

    assert world.counts() == nothing_but(submitted=1, parked=1)
    assert world.counts().in_flight == 0


def test_a_submission_too_large_to_be_kept_with_its_note_was_parked_all_the_same(world: World) -> None:
    source = Source("log-1", PAYMENTS, "shardId-000000000000").pack().decode()

    world.tell(Parked("too large", source, "1.0", b"", b"digest"), stream=PARKED)

    assert world.counts().parked == 1


@pytest.mark.parametrize(
    ("event", "parked"),
    [
        (PaymentAuthorised(a_transfer(1), "sct-inst", ACCOUNT_A, ACCOUNT_B, 0), 1),
        (ParticipantAnswered("tx-1", BANK_A, BANK_B, ACCOUNT_A, accepted=True, reason="", answered_us=1), 0),
    ],
)
def test_of_what_the_clearing_parked_only_an_order_is_the_end_of_a_payment(
    world: World, event: object, parked: int
) -> None:
    (output,) = world.upstream.emit("clearing", "key", event)
    source = Source("log-1", "clearing", "shardId-000000000000").pack().decode()

    world.tell(Parked("why", source, "1.0", output.record, b""), stream=PARKED)

    assert world.counts().parked == parked


def test_limbo_has_a_count_a_value_and_an_age(world: World) -> None:
    world.tell(unknown("payment-1"))
    since_us = world.clock.now_us()
    world.clock.move(1_000)
    world.tell(unknown("payment-2"))

    assert world.queries().limbo() == [Limbo("EUR", 2, 2_000, since_us)]


def test_the_nets_of_a_cycle_are_those_of_its_pieces_added_up(world: World) -> None:
    low, high = FULL_RANGE.divide(2)
    world.tell(settled("payment-1", amount="10.00"), settled("payment-2", amount="2.00"))
    world.tell(netted(0, low, (ACCOUNT_A, -1_200)), netted(0, high, (ACCOUNT_B, 1_200)))

    nets = [Net(0, ACCOUNT_A, "EUR", -1_200), Net(0, ACCOUNT_B, "EUR", 1_200)]
    assert world.queries().nets() == nets
    assert world.queries().expected_nets() == nets


def netted(cycle: int, piece: HashRange, *nets: tuple[str, int]) -> CycleNetted:
    positions = tuple(NetPosition(account, "EUR", net) for account, net in nets)
    return CycleNetted(cycle, piece.first_bytes, piece.last_bytes, positions)


def test_a_book_transfer_is_settled_and_in_no_cycle(world: World) -> None:
    world.tell(PaymentSettled(ID, eur("10.00"), "", "", -1, ACCEPTED_US))

    assert world.counts().settled == 1
    assert world.queries().expected_nets() == []
    assert world.queries().settled_sums() == {"EUR": 1_000}


def test_latency_is_from_acceptance_until_the_log_had_the_outcome(world: World) -> None:
    world.tell(settled())

    assert world.queries().settlement_latencies_us() == [world.clock.now_us() - ACCEPTED_US]


def test_why_payments_did_not_settle_is_told_by_reason(world: World) -> None:
    world.tell(rejected("payment-1"), rejected("payment-2"), expired("payment-3"), settled("payment-4"))

    assert world.queries().reasons() == [("rejected", "AM23", 2), ("expired", "AB06", 1)]


def test_a_shard_that_ended_says_nothing(world: World) -> None:
    world.tell(SourceEnded())

    assert world.counts() == nothing_but()


def test_an_outcome_that_the_projector_does_not_know_stops_it(world: World) -> None:
    listed: ParticipantListed = a_participant()

    with pytest.raises(Poison, match="ParticipantListed"):
        world.tell(listed)


def test_the_tables_can_be_read_while_the_projector_has_them_but_not_written(world: World) -> None:
    world.tell(settled())

    assert world.counts().settled == 1
    with pytest.raises(EdgeError, match="another process"):
        Projector(world.log, SqliteTables(world.folder))


def test_what_was_said_to_a_recall_is_noticed_and_ends_no_submission(world: World) -> None:
    world.tell(settled(), RecallAnswered(ID, "rcl_1", BANK_B, True, "FOCR", "rtn_1", ACCEPTED_US))

    assert world.queries().recalls(ID) == [("FOCR", "rtn_1")]
    assert world.queries().counts().settled == 1
    assert world.queries().contradictions() == []
