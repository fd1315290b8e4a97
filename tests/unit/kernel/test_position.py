"""Positions and lineages compare alike as values and as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernel.position import NO_LINEAGE, SOURCE_ENDED, START, Position, Source, pack_lineage
from tests.unit.kernel.strategies import positions, sources

indexes = st.integers(0, (1 << 32) - 1)
near_positions = st.builds(Position, st.integers(0, 3), st.integers(0, 3)) | positions


@given(near_positions, near_positions)
def test_positions_sort_as_their_bytes_do(one: Position, other: Position) -> None:
    assert (one < other) == (one.pack() < other.pack())
    assert (one == other) == (one.pack() == other.pack())


@given(positions)
def test_a_position_comes_back_from_its_bytes(position: Position) -> None:
    assert Position.unpack(position.pack()) == position


@given(near_positions, near_positions, indexes, indexes)
def test_lineages_sort_by_position_and_then_by_index(one: Position, other: Position, i: int, j: int) -> None:
    assert ((one, i) < (other, j)) == (pack_lineage(one.pack(), i) < pack_lineage(other.pack(), j))


@given(st.builds(Position, st.integers(1, (1 << 128) - 2), indexes), indexes)
def test_every_lineage_lies_between_none_and_the_end_of_its_source(position: Position, index: int) -> None:
    assert NO_LINEAGE < pack_lineage(position.pack(), index) < SOURCE_ENDED


@given(st.builds(Position, st.integers(1, (1 << 128) - 1), indexes))
def test_every_record_stands_behind_the_start_of_its_shard(position: Position) -> None:
    assert position > START


@given(sources)
def test_a_source_comes_back_from_its_bytes(source: Source) -> None:
    assert Source.unpack(source.pack()) == source


@given(sources, sources)
def test_two_sources_never_share_a_name(one: Source, other: Source) -> None:
    assert (one == other) == (one.pack() == other.pack())


def test_a_source_with_a_slash_in_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="slash"):
        Source("log", "pay/ments", "shard-0").pack()
