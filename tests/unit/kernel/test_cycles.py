"""Cycles: markers once per own range and in order, and a piece finalises a cycle once, when all hashes are covered."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvariantViolation, Poison
from pipeline.kernel.cycles import Cycles, Marker
from pipeline.kernel.hashrange import FULL_RANGE, HashRange
from pipeline.state.memory import MemoryStore
from tests.unit.kernel.states import a_state, commit
from tests.unit.kernel.strategies import hashes, tilings

CYCLES = 4
LOW, HIGH = FULL_RANGE.divide(2)


@given(tilings(), st.lists(st.integers(0, 60), min_size=1), st.data())
def test_each_own_range_marks_each_cycle_once_and_in_order(
    ranges: list[HashRange], times: list[int], data: st.DataObject
) -> None:
    store = a_state([FULL_RANGE], ranges)
    cycles = Cycles(store)
    for cycle in range(CYCLES):
        cycles.schedule(cycle, 10 * (cycle + 1))
    markers = []
    for now_us in sorted(times):
        due = cycles.next_due_us <= now_us
        passed = cycles.pass_cut_offs(now_us)
        assert bool(passed) == due
        markers += passed
        if data.draw(st.booleans()):
            cycles = restarted(cycles, store)

    closed = min(max(times) // 10, CYCLES)
    assert markers == [Marker(cycle, own) for cycle in range(closed) for own in ranges]
    assert {cycles.open_cycle(own.first_bytes) for own in ranges} == {closed}


@given(tilings(), tilings(), st.randoms(use_true_random=False), st.data())
def test_each_piece_finalises_each_cycle_once_and_in_order_when_all_hashes_are_covered(
    pieces: list[HashRange], sources: list[HashRange], random: Random, data: st.DataObject
) -> None:
    store = a_state(pieces)
    cycles = Cycles(store)
    arrivals = [(source, piece) for source in sources for piece in pieces]
    left = {(cycle, piece): set(sources) for cycle in range(CYCLES) for piece in pieces}
    final: list[Marker] = []
    next_of = dict.fromkeys(arrivals, 0)
    while next_of:  # a source's markers come in cycle order, and otherwise in any
        source, piece = random.choice(list(next_of))
        cycle = next_of[source, piece]
        newly_final = cycles.cover(Marker(cycle, source), [piece])
        left[cycle, piece].discard(source)
        final += newly_final
        assert all(not left[of, at] for of, at in newly_final)
        next_of[source, piece] += 1
        if next_of[source, piece] == CYCLES:
            del next_of[source, piece]
        if data.draw(st.booleans()):
            cycles = restarted(cycles, store)

    for piece in pieces:
        assert [cycle for cycle, at in final if at == piece] == list(range(CYCLES))
        assert cycles.is_finalised(piece.last_bytes, CYCLES - 1)
        assert not cycles.is_finalised(piece.last_bytes, CYCLES)


@given(hashes)
def test_a_key_adds_to_the_cycle_behind_the_last_that_its_range_has_closed(hashed: int) -> None:
    store = a_state([FULL_RANGE], [LOW, HIGH])
    cycles = Cycles(store)
    cycles.schedule(0, 10)
    assert cycles.open_cycle(hashed.to_bytes(16, "big")) == 0

    cycles.pass_cut_offs(10)

    assert cycles.open_cycle(hashed.to_bytes(16, "big")) == 1


def test_a_cycle_is_not_closed_before_the_one_before_it() -> None:
    cycles = Cycles(a_state([FULL_RANGE]))
    cycles.schedule(1, 10)

    assert cycles.pass_cut_offs(100) == []
    cycles.schedule(0, 50)
    assert [marker.cycle for marker in cycles.pass_cut_offs(100)] == [0, 1]


def test_a_cut_off_that_is_known_stays_where_it_is() -> None:
    cycles = Cycles(a_state([FULL_RANGE]))
    cycles.schedule(0, 10)
    cycles.schedule(0, 5)

    assert cycles.pass_cut_offs(9) == []


@pytest.mark.parametrize(("cycle", "at_us"), [(-1, 10), (1 << 63, 10), (0, -1), (0, 1 << 63)])
def test_a_cut_off_that_cannot_be_is_poison(cycle: int, at_us: int) -> None:
    with pytest.raises(Poison, match="there is no cycle"):
        Cycles(a_state([FULL_RANGE])).schedule(cycle, at_us)


def test_a_marker_of_a_cycle_that_is_final_halts() -> None:
    cycles = Cycles(a_state([FULL_RANGE]))
    cycles.cover(Marker(0, FULL_RANGE), [FULL_RANGE])

    with pytest.raises(InvariantViolation, match="marker of cycle 0"):
        cycles.cover(Marker(0, LOW), [FULL_RANGE])


def restarted(cycles: Cycles, store: MemoryStore) -> Cycles:
    commit(cycles, store)
    return Cycles(store)
