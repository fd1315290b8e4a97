"""Watermarks: per source and piece, only what is above the last lineage is news."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pipeline.errors import InvariantViolation
from pipeline.kernel.hashrange import FULL_RANGE, HashRange
from pipeline.kernel.position import SOURCE_ENDED, Position, pack_lineage
from pipeline.kernel.watermarks import Watermarks
from tests.unit.kernel.states import a_state, commit
from tests.unit.kernel.strategies import hashes, tilings

PIECES = FULL_RANGE.divide(4)
SOURCES = st.sampled_from([b"log-1/s/0", b"log-1/s/1", b"log-1/s/10"])
LINEAGES = st.integers(1, 9).map(lambda number: pack_lineage(Position(number, 0).pack(), 0))


class WatermarksAndSets(RuleBasedStateMachine):
    """Takes keyed records, broadcasts and ends, against the last lineage of each (source, piece)."""

    def __init__(self) -> None:
        super().__init__()
        self.store = a_state(PIECES)
        self.watermarks = Watermarks(self.store)
        self.taken: dict[tuple[bytes, int], bytes] = {}

    @rule(source=SOURCES, lineage=LINEAGES, hashed=hashes)
    def take(self, source: bytes, lineage: bytes, hashed: int) -> None:
        number = next(number for number, piece in enumerate(PIECES) if hashed in piece)

        is_news = self.watermarks.take(source, lineage, hashed.to_bytes(16, "big"))

        assert is_news == self.expect(source, lineage, number)

    @rule(source=SOURCES, lineage=LINEAGES, first=st.integers(0, 3), count=st.integers(1, 4))
    def take_broadcast(self, source: bytes, lineage: bytes, first: int, count: int) -> None:
        addressed = list(enumerate(PIECES))[first : first + count]
        bounds = addressed[0][1].first_bytes, addressed[-1][1].last_bytes

        news = self.watermarks.take_broadcast(source, lineage, *bounds)

        assert list(news) == [piece for number, piece in addressed if self.expect(source, lineage, number)]

    @rule(source=SOURCES, number=st.integers(0, 3))
    def end(self, source: bytes, number: int) -> None:
        self.watermarks.end(source, [PIECES[number]])
        self.taken[source, number] = SOURCE_ENDED

    @rule()
    def commit_and_restart(self) -> None:
        commit(self.watermarks, self.store)
        self.watermarks = Watermarks(self.store)

    def expect(self, source: bytes, lineage: bytes, number: int) -> bool:
        """Say whether a record is news to a piece, and remember it."""
        last = self.taken.get((source, number))
        if last is not None and lineage <= last:
            return False
        self.taken[source, number] = lineage
        return True


TestWatermarksAndSets = WatermarksAndSets.TestCase


@given(tilings(), SOURCES)
def test_nothing_of_a_source_that_has_ended_is_news(pieces: list[HashRange], source: bytes) -> None:
    store = a_state(pieces)
    watermarks = Watermarks(store)
    watermarks.end(source, pieces)
    commit(watermarks, store)

    last = pack_lineage(Position((1 << 128) - 2, 0).pack(), 0)
    assert not any(Watermarks(store).take(source, last, piece.first_bytes) for piece in pieces)
    assert Watermarks(store).take_broadcast(source, last, FULL_RANGE.first_bytes, FULL_RANGE.last_bytes) == []


def test_a_broadcast_to_a_part_of_a_piece_halts() -> None:
    watermarks = Watermarks(a_state(PIECES))
    half = PIECES[0].divide(2)[0]

    with pytest.raises(InvariantViolation, match="only a part of the piece"):
        watermarks.take_broadcast(b"source", pack_lineage(Position(1, 0).pack(), 0), half.first_bytes, half.last_bytes)
