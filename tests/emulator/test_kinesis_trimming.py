"""What Kinesis has trimmed is missed and named, although Kinesis itself says nothing of it.

The emulator keeps everything, so the client here plays a Kinesis that has trimmed: an iterator before the trim horizon
begins at the horizon, without a word, as Kinesis's do.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.errors import TrimmedRangeError
from pipeline.stream_logs import kinesis_numbers
from tests.emulator.faulty_client import Answer, Call, Fate, FaultyClient, expired
from tests.log_under_test import FIRST_SHARD, QUARTER, STREAM, LogUnderTest, contents

pytestmark = pytest.mark.emulator

DAYS = timedelta(days=1)


def trim(client: FaultyClient, log: LogUnderTest, before: int | None) -> None:
    """Let the stream be ten days old, and have trimmed what stands before the record ``before``, or everything."""
    client.always("describe_stream_summary", _ten_days_old)
    start = int(
        client.real.list_shards(StreamName=STREAM)["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]
    )
    horizon = None if before is None else kinesis_numbers.kinesis_number(kinesis_numbers.anchor(start), before)
    client.always("get_shard_iterator", _from(horizon, client))


def _ten_days_old(call: Call, parameters: Answer) -> Answer:
    answer = call()
    answer["StreamDescriptionSummary"]["StreamCreationTimestamp"] -= 10 * DAYS
    return answer


def _from(horizon: int | None, client: FaultyClient) -> Fate:
    def fate(_call: Call, parameters: Answer) -> Answer:
        number = int(parameters.get("StartingSequenceNumber", 0))
        if horizon is None:
            parameters = {"ShardIteratorType": "LATEST"}
        elif number < horizon:
            parameters = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": str(horizon)}
        else:
            parameters = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": str(number)}
        answer: Answer = client.real.get_shard_iterator(StreamName=STREAM, ShardId=FIRST_SHARD, **parameters)
        return answer

    return fate


def test_a_position_whose_record_was_trimmed_cannot_be_read_and_the_error_names_the_range(
    client: FaultyClient, log: LogUnderTest
) -> None:
    first, _, third = log.put_in_turn(b"a", b"b", b"c")
    trim(client, log, before=third)

    with pytest.raises(TrimmedRangeError, match="were trimmed") as error:
        log.read(first)

    horizon = log.trim_horizon()
    assert error.value.missing == (first, horizon)
    assert contents(log.read(horizon).records) == [b"c"]


def test_nothing_is_missing_behind_a_record_that_is_kept(client: FaultyClient, log: LogUnderTest) -> None:
    _, second, _ = log.put_in_turn(b"a", b"b", b"c")
    trim(client, log, before=second)

    assert contents(log.read(second).records) == [b"c"]


def test_the_beginning_of_an_old_shard_cannot_be_read(client: FaultyClient, log: LogUnderTest) -> None:
    _, second, _ = log.put_in_turn(b"a", b"b", b"c")
    trim(client, log, before=second)

    with pytest.raises(TrimmedRangeError) as error:
        log.read(0)

    assert error.value.missing == (0, log.trim_horizon())


def test_an_iterator_that_expired_over_the_trim_horizon_is_an_error(client: FaultyClient, log: LogUnderTest) -> None:
    first, _, third = log.put_in_turn(b"a", b"b", b"c")
    log.read(0, limit=1)
    log.read(first)
    trim(client, log, before=None)
    client.next("get_records", expired)

    with pytest.raises(TrimmedRangeError, match="up to whatever came last"):
        log.read(third)


def test_a_shard_of_which_everything_was_trimmed_is_read_on_from_its_trim_horizon(
    client: FaultyClient, log: LogUnderTest
) -> None:
    log.put(b"a")
    trim(client, log, before=None)

    horizon = log.trim_horizon()

    assert horizon == log.latest() == kinesis_numbers.FROM_WHAT_IS_KEPT
    assert log.read(horizon).records == ()


def test_a_shard_that_was_born_behind_the_trim_horizon_has_lost_nothing(
    client: FaultyClient, log: LogUnderTest
) -> None:
    low, _ = log.split(QUARTER)
    log.put(b"x")
    client.always("describe_stream_summary", _ten_days_old)
    client.always("list_shards", _open_at_the_horizon)

    assert log.contents(low.shard_id) == [b"x"]
    with pytest.raises(TrimmedRangeError):
        log.read(0)


def _open_at_the_horizon(call: Call, parameters: Answer) -> Answer:
    """The emulator names every shard; Kinesis those that were open at the trim horizon."""
    answer = call()
    if "ShardFilter" in parameters:
        answer["Shards"] = [shard for shard in answer["Shards"] if shard["ShardId"] == FIRST_SHARD]
    return answer
