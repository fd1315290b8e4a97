"""Kinesis's sequence numbers as the engine's: the same order, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LogError
from pipeline.kernel.position import Position
from pipeline.stream_logs import kinesis_numbers as numbers

# As AWS's documentation shows them: two records' and two shards' first.
OF_AWS = [
    49544985256907370027570885864065577703022652638596431874,
    49543463076548007577105092703039560359975228518395012686,
    49579844037727333356165064238440708846556371693205002258,
    49579844037749634101363594861582244564829019654711184402,
]
ANCHOR = numbers.anchor(OF_AWS[0])
rests = st.integers(2, (1 << 127) - 1)


def a_number(rest: int) -> int:
    return (ANCHOR << 144) | rest


@pytest.mark.parametrize("kinesis_number", OF_AWS)
def test_a_number_of_aws_fits_into_a_position_and_comes_back(kinesis_number: int) -> None:
    number = numbers.record_number(kinesis_number)

    assert Position.unpack(Position(number, 0).pack()).sequence == number
    assert numbers.kinesis_number(numbers.anchor(kinesis_number), number) == kinesis_number


@given(rests, rests)
def test_records_of_a_shard_keep_their_order(one: int, other: int) -> None:
    as_ours = numbers.record_number(a_number(one)), numbers.record_number(a_number(other))

    assert (as_ours[0] < as_ours[1]) == (one < other)


@given(rests)
def test_before_and_behind_a_record_are_two_positions_that_name_it(rest: int) -> None:
    number = numbers.record_number(a_number(rest))
    before = numbers.before_record(number)

    assert numbers.FROM_WHAT_IS_KEPT < before < number
    assert (numbers.is_behind_record(before), numbers.is_behind_record(number)) == (False, True)
    assert numbers.named_record(before) == numbers.named_record(number) == number
    assert numbers.kinesis_number(ANCHOR, before) == numbers.kinesis_number(ANCHOR, number) == a_number(rest)


@pytest.mark.parametrize("unexpected", [0, 17, 1 << 186, a_number(1 << 127), a_number(0)])
def test_a_number_that_looks_otherwise_stops_whoever_meets_it(unexpected: int) -> None:
    with pytest.raises(LogError, match=str(unexpected)):
        numbers.record_number(unexpected)
