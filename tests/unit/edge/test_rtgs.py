"""The central bank settles a cycle once, when it is complete, and only if it sums to zero."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.edge.rtgs import SettlementBank
from agents.streams import CONTROL, OUTCOMES
from pipeline.errors import InvariantViolation
from pipeline.kernel.hashrange import FULL_RANGE, HashRange
from pipeline.stream_logs.memory import MemoryLog
from schemas.events import CycleNetted, CycleSettled, NetPosition, PaymentRepeated
from tests.unit.edge.upstream import Upstream, a_memory_log, events_of, now, records_of
from tests.virtual_clock import VirtualClock

LOW, HIGH = FULL_RANGE.divide(2)


def netted(cycle: int, piece: HashRange, **nets: int) -> CycleNetted:
    positions = tuple(NetPosition(f"{name}/EUR", "EUR", net) for name, net in nets.items())
    return CycleNetted(cycle, piece.first_bytes, piece.last_bytes, positions)


class World:
    """The clearing upstream, and the bank."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.log: MemoryLog = a_memory_log(self.clock)
        self.clearing = Upstream(self.log)
        self._folder = folder
        self.bank = SettlementBank(self.log, self.clock, folder)

    def tell(self, *events: object) -> None:
        self._told = self.clearing.emit(OUTCOMES, "cycle", *events)
        self.turn()

    def tell_again(self) -> None:
        self.clearing.again(*self._told)
        self.turn()

    def turn(self) -> None:
        now(self.bank.turn())

    def restart(self) -> None:
        self.bank.close()
        self.bank = SettlementBank(self.log, self.clock, self._folder)

    def settled(self) -> list[int]:
        return [event.cycle for event in events_of(self.log, CONTROL) if isinstance(event, CycleSettled)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_cycle_is_settled_when_its_pieces_tile_the_hash_space(world: World) -> None:
    world.tell(netted(0, LOW, ALFA=-5))
    assert world.settled() == []

    world.tell(netted(0, HIGH, BRAVO=5))

    assert world.settled() == [0]


def test_an_empty_cycle_is_settled_too(world: World) -> None:
    world.tell(netted(0, FULL_RANGE))

    assert world.settled() == [0]


def test_cycles_are_settled_in_order(world: World) -> None:
    world.tell(netted(1, FULL_RANGE))
    assert world.settled() == []

    world.tell(netted(0, FULL_RANGE))

    assert world.settled() == [0, 1]


def test_nets_that_do_not_sum_to_zero_stop_the_bank_before_it_settles(world: World) -> None:
    with pytest.raises(InvariantViolation, match="do not sum to zero"):
        world.tell(netted(0, LOW, ALFA=-5), netted(0, HIGH, BRAVO=4))

    assert world.settled() == []


def test_a_bank_that_stopped_stops_again(world: World) -> None:
    with pytest.raises(InvariantViolation):
        world.tell(netted(0, FULL_RANGE, ALFA=-5))

    world.restart()

    with pytest.raises(InvariantViolation):
        world.turn()


def test_two_currencies_are_never_added(world: World) -> None:
    positions = (NetPosition("ALFA/EUR", "EUR", -5), NetPosition("ALFA/GBP", "GBP", 5))
    with pytest.raises(InvariantViolation):
        world.tell(CycleNetted(0, FULL_RANGE.first_bytes, FULL_RANGE.last_bytes, positions))


def test_what_is_told_again_changes_nothing(world: World) -> None:
    world.tell(netted(0, LOW, ALFA=-5), netted(0, HIGH, BRAVO=5))

    world.tell_again()
    world.restart()
    world.tell_again()

    assert world.settled() == [0]


def test_a_piece_that_is_told_differently_stops_the_bank(world: World) -> None:
    world.tell(netted(0, LOW, ALFA=-5))

    with pytest.raises(InvariantViolation, match="differently"):
        world.tell(netted(0, LOW, ALFA=-6))


def test_pieces_that_overlap_stop_the_bank(world: World) -> None:
    with pytest.raises(InvariantViolation, match="overlap"):
        world.tell(netted(0, FULL_RANGE), netted(0, HIGH))


def test_a_bank_killed_before_it_marked_a_cycle_puts_the_same_bytes_again(world: World) -> None:
    world.tell(netted(0, FULL_RANGE))
    world.bank._database.connection.execute("DELETE FROM settled")
    world.restart()

    world.turn()

    first, second = records_of(world.log, CONTROL)
    assert first == second


def test_other_outcomes_are_not_the_banks_business(world: World) -> None:
    world.tell(PaymentRepeated("payment-2", of="payment-1"), netted(0, FULL_RANGE))

    assert world.settled() == [0]
