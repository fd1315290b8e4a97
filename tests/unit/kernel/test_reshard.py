"""Resharding: a state that is split and merged again knows what it knew, in pieces that are never coarser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernel import keys, reshard
from pipeline.kernel.cycles import Coverage, encode_closed, encode_coverage
from pipeline.kernel.hashrange import FULL_RANGE, HashRange, missing_from
from pipeline.kernel.tables import Changes, encode_versioned
from pipeline.state.memory import MemoryStore
from tests.unit.kernel.strategies import hash_bytes, hashes, lineages, tilings

near = st.binary(max_size=3)
CARRIED = (keys.KEYED, keys.TIMER, keys.HORIZON, keys.BROADCAST, keys.CUT_OFF)
"""What is the same in every row."""


@st.composite
def states(draw: st.DrawFn) -> MemoryStore:
    """Return the state of a shard that owned every hash and lived."""
    rows: Changes = {keys.HEAD + bytes(20): b"head"}
    for hashed in draw(st.lists(hash_bytes, max_size=8)):
        rows[keys.KEYED + hashed + draw(near)] = draw(near)
        rows[keys.TIMER + hashed + draw(near)] = draw(near)
        rows[keys.HORIZON + draw(st.sampled_from([b"\x01", b"\x02"])) + bytes(3) + b"\x05" + hashed + draw(near)] = b"v"
    for cycle in range(draw(st.integers(0, 3))):
        rows[keys.CUT_OFF + cycle.to_bytes(8, "big")] = bytes(8)
    for key in draw(st.sets(near, max_size=3)):
        rows[keys.BROADCAST + b"\x01" + key] = encode_versioned((1, b"s", draw(lineages)), b"v")
    for piece in draw(tilings()):
        rows[keys.PIECE + piece.first_bytes] = piece.last_bytes
        covered = {3: [(piece.first_bytes, piece.last_bytes)]}
        rows[keys.COVERAGE + piece.first_bytes] = encode_coverage(Coverage(draw(st.integers(-1, 2)), covered))
        for source in draw(st.sets(st.sampled_from([b"s/0", b"s/1", b"s/10"]))):
            rows[keys.WATERMARK + piece.first_bytes + source] = draw(lineages)
    for own in draw(tilings()):
        rows[keys.CLOSED + own.first_bytes] = encode_closed(own.last_bytes, draw(st.integers(-1, 3)))
    store = MemoryStore()
    store.write(rows)
    return store


@given(states(), tilings())
def test_what_was_split_and_merged_again_is_what_it_was(state: MemoryStore, children: list[HashRange]) -> None:
    parts = [inherited([state], child) for child in children]
    merged, range_so_far = parts[0], children[0]
    for part, child in zip(parts[1:], children[1:], strict=True):
        range_so_far = range_so_far.join(child)
        merged = inherited([merged, part], range_so_far)

    for prefix in CARRIED:
        assert rows(merged, prefix) == rows(state, prefix)


@given(states(), tilings(), hashes)
def test_every_hash_keeps_its_watermarks_its_coverage_and_its_cycle(
    state: MemoryStore, children: list[HashRange], hashed: int
) -> None:
    for child in children:
        if hashed in child:
            assert known_of(inherited([state], child), hashed) == known_of(state, hashed)


@given(states(), tilings())
def test_a_child_has_nothing_that_is_not_its_own(state: MemoryStore, children: list[HashRange]) -> None:
    for child in children:
        part = inherited([state], child)

        for prefix in (keys.KEYED, keys.TIMER):
            assert all(int.from_bytes(row[1:17], "big") in child for row in rows(part, prefix))
        assert all(int.from_bytes(row[6:22], "big") in child for row in rows(part, keys.HORIZON))
        assert rows(part, keys.HEAD) == {}
        for prefix in (keys.PIECE, keys.CLOSED):
            assert missing_from(child, ranges_of(part, prefix)) == []
            assert all(child.covers(own) for own in ranges_of(part, prefix))


@given(states(), tilings(), tilings())
def test_pieces_are_cut_where_any_ancestor_was_and_never_joined(
    state: MemoryStore, children: list[HashRange], grandchildren: list[HashRange]
) -> None:
    parts = [inherited([state], child) for child in children]
    whole = inherited(parts, FULL_RANGE)
    again = [inherited([whole], grandchild) for grandchild in grandchildren]

    cuts = {cut for part in again for cut in rows(part, keys.PIECE)}

    of_children = {keys.PIECE + child.first_bytes for child in children}
    of_grandchildren = {keys.PIECE + grandchild.first_bytes for grandchild in grandchildren}
    assert cuts == rows(state, keys.PIECE).keys() | of_children | of_grandchildren


def inherited(parents: list[MemoryStore], child: HashRange) -> MemoryStore:
    """Return what a child starts with: a copy of the first parent, cut, and what it owns of the others."""
    store = MemoryStore(dict(parents[0].scan(b"", b"\xff")))
    store.write(reshard.small_rows(parents, child), reshard.outside(store, child))
    for other in parents[1:]:
        for portion in reshard.rows_inside(other, child):
            store.write(portion)
    return store


def rows(store: MemoryStore, prefix: bytes) -> dict[bytes, bytes]:
    return dict(store.scan(prefix, keys.after_prefix(prefix)))


def ranges_of(store: MemoryStore, prefix: bytes) -> list[HashRange]:
    return [HashRange.from_bytes(row[1:], data[:16]) for row, data in rows(store, prefix).items()]


def known_of(store: MemoryStore, hashed: int) -> tuple[object, ...]:
    """Return what the state knows about one hash: by source, the last lineage; coverage; the cycle it closed."""
    (piece,) = [piece for piece in ranges_of(store, keys.PIECE) if hashed in piece]
    (own,) = [own for own in ranges_of(store, keys.CLOSED) if hashed in own]
    marks = rows(store, keys.WATERMARK + piece.first_bytes)
    return (
        {row[17:]: lineage for row, lineage in marks.items()},
        store.get(keys.COVERAGE + piece.first_bytes),
        rows(store, keys.CLOSED)[keys.CLOSED + own.first_bytes][16:],
    )
