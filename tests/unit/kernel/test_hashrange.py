"""Ranges of hashes: what splits, joins and tiles."""

from __future__ import annotations

from hashlib import md5
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernel.hashrange import FULL_RANGE, LAST_HASH, HashRange, hash_key, missing_from
from tests.unit.kernel.strategies import hashes, near_hashes, ranges, tilings

near_ranges = ranges(near_hashes)


@given(ranges(), st.data())
def test_the_parts_of_a_split_join_to_what_was_split(whole: HashRange, data: st.DataObject) -> None:
    if whole.first == whole.last:
        return
    at = data.draw(st.integers(whole.first + 1, whole.last))

    below, above = whole.split(at)

    assert below.join(above) == above.join(below) == whole
    assert (below.last, above.first) == (at - 1, at)


@given(ranges(), hashes)
def test_a_hash_that_would_leave_a_part_empty_does_not_split(whole: HashRange, at: int) -> None:
    if not whole.first < at <= whole.last:
        with pytest.raises(ValueError, match="does not split"):
            whole.split(at)


@given(near_ranges, near_ranges)
def test_only_ranges_that_touch_join(one: HashRange, other: HashRange) -> None:
    if one.last + 1 == other.first or other.last + 1 == one.first:
        joined = one.join(other)
        assert (joined.first, joined.last) == (min(one.first, other.first), max(one.last, other.last))
    else:
        with pytest.raises(ValueError, match="do not touch"):
            one.join(other)


@given(near_ranges, near_ranges)
def test_an_overlap_holds_the_hashes_that_both_ranges_hold(one: HashRange, other: HashRange) -> None:
    common = one.overlap(other)

    assert common == other.overlap(one)
    assert _hashes_in(common) == _hashes_in(one) & _hashes_in(other)


@given(near_ranges, near_ranges)
def test_what_is_taken_out_and_what_is_left_are_all_of_a_range(one: HashRange, other: HashRange) -> None:
    left = one.without(other)

    assert set().union(*map(_hashes_in, left)) == _hashes_in(one) - _hashes_in(other)
    assert left == sorted(left)
    assert len(left) <= 2


@given(near_ranges, near_ranges)
def test_a_range_covers_what_lies_inside_it(one: HashRange, other: HashRange) -> None:
    assert one.covers(other) == (_hashes_in(other) <= _hashes_in(one))


@given(ranges(), st.integers(1, 50))
def test_a_range_is_divided_into_parts_that_tile_it_and_differ_by_one_at_most(whole: HashRange, count: int) -> None:
    if whole.last - whole.first + 1 < count:
        return

    parts = whole.divide(count)

    sizes = {part.last - part.first for part in parts}
    assert len(parts) == count
    assert missing_from(whole, parts) == []
    assert all(one.last + 1 == other.first for one, other in pairwise(parts))
    assert max(sizes) - min(sizes) <= 1


@given(tilings(), st.randoms(use_true_random=False))
def test_ranges_that_tile_in_any_order_leave_nothing_missing(parts: list[HashRange], random: object) -> None:
    random.shuffle(parts)  # type: ignore[attr-defined]

    assert missing_from(FULL_RANGE, parts) == []


@given(tilings(), st.data())
def test_a_tile_that_was_left_out_is_what_is_missing(parts: list[HashRange], data: st.DataObject) -> None:
    left_out = data.draw(st.sampled_from(parts))

    assert missing_from(FULL_RANGE, [part for part in parts if part != left_out]) == [left_out]


@given(near_ranges, st.lists(near_ranges, max_size=5))
def test_missing_are_the_hashes_that_no_part_holds(whole: HashRange, parts: list[HashRange]) -> None:
    missing = missing_from(whole, parts)

    assert set().union(*map(_hashes_in, missing)) == _hashes_in(whole).difference(*map(_hashes_in, parts))
    assert missing == sorted(missing)


@given(ranges(), ranges())
def test_ranges_sort_as_the_bytes_of_their_first_hashes_do(one: HashRange, other: HashRange) -> None:
    assert (one.first < other.first) == (one.first_bytes < other.first_bytes)
    assert HashRange.from_bytes(one.first_bytes, one.last_bytes) == one


@pytest.mark.parametrize(("first", "last"), [(1, 0), (-1, 0), (0, LAST_HASH + 1)])
def test_a_range_has_bounds_in_order_and_within_128_bits(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="not a hash range"):
        HashRange(first, last)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_key_has_the_hash_that_kinesis_gives_it(key: str) -> None:
    assert hash_key(key) == md5(key.encode(), usedforsecurity=False).digest()


def _hashes_in(hash_range: HashRange | None) -> set[int]:
    return set() if hash_range is None else set(range(hash_range.first, hash_range.last + 1))
