"""Reading from Kinesis: every record once and in order, whatever iterators and answers do."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from pipeline.errors import BeyondEndError, LogError
from pipeline.settings import KinesisSettings
from pipeline.stream_logs import kinesis_reader
from pipeline.stream_logs.aggregation import pack
from pipeline.system_clock import SystemClock
from tests.emulator import kinesis_under_test
from tests.emulator.faulty_client import (
    Answer,
    Call,
    FaultyClient,
    denied,
    expired,
    nothing_yet,
    overloaded,
    throttled,
    unanswered,
    unreachable,
)
from tests.log_under_test import FIRST_SHARD, QUARTER, STREAM, LogUnderTest, contents

pytestmark = pytest.mark.emulator
US_PER_SECOND = 1_000_000


def put_plainly(client: FaultyClient, data: bytes) -> None:
    """Put a record as somebody does who knows nothing of aggregation."""
    client.real.put_record(StreamName=STREAM, Data=data, PartitionKey="a key")


# ------------------------------------------------------------------------------------------------------------ iterators
def test_a_reader_that_goes_on_uses_the_iterator_it_has(client: FaultyClient, log: LogUnderTest) -> None:
    first = log.put(b"one").sequence
    assert log.contents() == [b"one"]
    log.put(b"two")

    assert contents(log.read(first).records) == [b"two"]
    assert len(client.asked("get_shard_iterator")) == 1


def test_what_was_read_ahead_is_given_without_asking(client: FaultyClient, log: LogUnderTest) -> None:
    for number in range(5):
        log.put(b"%d" % number)

    after, found = 0, []
    while given := log.read(after, limit=1).records:
        found += contents(given)
        after = given[-1].sequence

    assert found == [b"%d" % number for number in range(5)]
    assert len(client.asked("get_records")) == 2


def test_an_expired_iterator_is_made_anew_behind_the_last_record(client: FaultyClient, log: LogUnderTest) -> None:
    first = log.put(b"one").sequence
    log.read()
    log.put(b"two")
    client.next("get_records", expired)

    assert contents(log.read(first).records) == [b"two"]
    assert client.asked("get_shard_iterator")[-1]["ShardIteratorType"] == "AT_SEQUENCE_NUMBER"


def test_an_iterator_that_has_expired_as_soon_as_it_was_made_is_made_once_more(
    client: FaultyClient, log: LogUnderTest
) -> None:
    first = log.put(b"one").sequence
    log.put(b"two")
    with kinesis_under_test.opened(shards=0, client=client) as another:
        client.next("get_records", expired, expired)

        assert contents(another.read(first).records) == [b"two"]


def test_an_iterator_that_expired_before_the_first_record_is_made_anew(client: FaultyClient, log: LogUnderTest) -> None:
    log.read()
    log.put(b"one")
    client.next("get_records", expired, expired)

    assert log.contents() == [b"one"]


def test_two_readers_of_a_shard_do_not_disturb_each_other(client: FaultyClient, log: LogUnderTest) -> None:
    sequences = log.put_in_turn(b"a", b"b", b"c")

    async def both() -> list[list[bytes]]:
        read = log.log.read
        return [
            contents(given.records)
            for given in await asyncio.gather(
                read(STREAM, FIRST_SHARD, 0, 1),
                read(STREAM, FIRST_SHARD, 0, 3),
                read(STREAM, FIRST_SHARD, sequences[0], 9),
            )
        ]

    assert log.wait(both()) == [[b"a"], [b"a", b"b", b"c"], [b"b", b"c"]]


def test_no_more_feeds_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch, log: LogUnderTest) -> None:
    monkeypatch.setattr(kinesis_reader, "FEEDS_MAX", 2)
    sequences = log.put_in_turn(b"a", b"b", b"c", b"d")

    for after in (0, *sequences):
        log.read(after, limit=1)

    assert contents(log.read(sequences[0]).records) == [b"b", b"c", b"d"]


# -------------------------------------------------------------------------------------------------------------- answers
def test_an_empty_answer_with_records_behind_it_is_not_the_tip(client: FaultyClient, log: LogUnderTest) -> None:
    log.put(b"one")
    client.next("get_records", nothing_yet, nothing_yet)

    assert log.contents() == [b"one"]


@pytest.mark.parametrize("operation", ["get_records", "get_shard_iterator", "list_shards"])
def test_a_read_that_was_turned_away_or_not_answered_is_tried_again(
    client: FaultyClient, log: LogUnderTest, operation: str
) -> None:
    log.put(b"one")
    client.next(operation, throttled, unanswered, unreachable, overloaded)
    with kinesis_under_test.opened(0, client) as other:
        assert other.contents() == [b"one"]


def test_a_read_that_is_turned_away_for_too_long_is_an_error_that_says_why(client: FaultyClient) -> None:
    settings = KinesisSettings(reads_per_second_max=1000.0, unavailable_seconds_max=0.2)
    with kinesis_under_test.opened(client=client, settings=settings) as log:
        client.always("get_records", unreachable)

        with pytest.raises(LogError, match=r"has not done get_records for 0 s.*Could not connect"):
            log.read()


def test_what_is_not_permitted_is_an_error_at_once(client: FaultyClient, log: LogUnderTest) -> None:
    client.next("get_records", denied)

    with pytest.raises(LogError, match="AccessDenied"):
        log.read()


def test_a_stream_that_was_deleted_is_an_error(client: FaultyClient, log: LogUnderTest) -> None:
    after = log.put(b"one").sequence
    log.read()
    client.real.delete_stream(StreamName=STREAM)
    until_gone(client)

    with pytest.raises(LogError, match="get_records"):
        log.read(after)
    with pytest.raises(LogError, match=f"no stream '{STREAM}'"):
        log.put(b"two")


def until_gone(client: FaultyClient) -> None:
    while STREAM in client.real.list_streams()["StreamNames"]:
        time.sleep(0.01)


# -------------------------------------------------------------------------------------------------------------- content
def test_a_record_of_somebody_else_is_one_user_record_with_its_bytes(client: FaultyClient, log: LogUnderTest) -> None:
    damaged = pack(bytes(16), [b"a", b"b"])[:-1] + b"?"
    log.put(b"ours")
    put_plainly(client, b"not ours")
    put_plainly(client, damaged)

    assert log.contents() == [b"ours", b"not ours", damaged]


# ----------------------------------------------------------------------------------------------------------------- time
def test_a_record_has_kinesiss_time_of_arrival_to_the_millisecond(client: FaultyClient, log: LogUnderTest) -> None:
    clock = SystemClock()
    before_us = clock.now_us()
    log.put(b"x")
    after_us = clock.now_us()

    (record,) = log.read().records
    assert before_us - 1_000 <= record.arrival_us <= after_us
    assert record.arrival_us % 1_000 == 0


def test_reading_can_begin_between_two_records_of_the_same_second(log: LogUnderTest) -> None:
    for name in (b"a", b"b", b"c"):
        log.put(name)
        time.sleep(0.005)
    arrivals = [record.arrival_us for record in log.read().records]
    assert all(one < other for one, other in pairwise(arrivals))

    def first_from(us: int) -> bytes:
        return log.read(log.at_time(us), limit=1).records[0].user_records[0]

    assert [first_from(us) for us in (0, *arrivals, arrivals[0] + 1)] == [b"a", b"a", b"b", b"c", b"b"]
    assert log.at_time(arrivals[-1] + 1) == log.at_time(arrivals[-1] + 3_600 * US_PER_SECOND) == log.latest()


def test_a_reader_knows_how_far_it_is_behind_what_it_has_seen(log: LogUnderTest) -> None:
    log.put(b"a", b"b")
    time.sleep(0.01)
    log.put(b"c", b"d", b"e")
    log.put(b"f")

    given = log.read(limit=1)
    rest = log.read(given.records[-1].sequence)

    assert given.behind_records == 4
    assert given.behind_us == rest.records[-1].arrival_us - given.records[0].arrival_us > 0
    assert (rest.behind_records, rest.behind_us) == (0, 0)


def test_of_what_lies_ahead_unread_at_least_one_record_is_counted(client: FaultyClient, log: LogUnderTest) -> None:
    sequences = log.put_in_turn(b"a", b"b")
    client.next("get_records", one_record)

    given = log.read()

    assert contents(given.records) == [b"a"]
    assert (given.behind_records, given.behind_us) == (1, 7_000)
    assert contents(log.read(sequences[0]).records) == [b"b"]


def one_record(call: Call, parameters: Answer) -> Answer:
    return call(Limit=1) | {"MillisBehindLatest": 7}


def test_a_shard_is_asked_no_more_often_than_the_pace_allows(client: FaultyClient) -> None:
    with kinesis_under_test.opened(client=client, settings=KinesisSettings(reads_per_second_max=20.0)) as log:
        began = time.monotonic()
        for _ in range(5):
            log.read()

    assert time.monotonic() - began >= 4 / 20


# --------------------------------------------------------------------------------------------------------------- places
def test_the_latest_record_is_found_in_a_stream_that_is_older_than_the_look_back(
    client: FaultyClient, log: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = log.put_in_turn(b"a", b"b")[-1]
    second = log.read().records[-1].arrival_us // US_PER_SECOND
    while SystemClock().now_us() // US_PER_SECOND == second:
        time.sleep(0.05)
    monkeypatch.setattr(kinesis_reader, "LOOK_BACK_SECONDS", (0,))

    assert log.latest() == newest


def test_a_position_of_another_stream_is_an_error(client: FaultyClient, log: LogUnderTest) -> None:
    first, second = log.put_in_turn(b"a", b"b")

    with pytest.raises(BeyondEndError, match=str(second + 2)):
        log.read(second + 2)
    with pytest.raises(LogError, match=f"{first + 2} names no record"):
        log.read(first + 2)


def test_all_pages_of_the_list_of_shards_are_read(client: FaultyClient) -> None:
    client.always("list_shards", a_shard_a_page)
    with kinesis_under_test.opened(3, client) as log:
        log.split(QUARTER // 2)
        shards = log.shards()

    assert [shard.shard_id[-1] for shard in shards] == ["0", "1", "2", "3", "4"]
    assert [shard.closed for shard in shards] == [True, False, False, False, False]
    assert len(client.asked("list_shards")) > 5


def a_shard_a_page(call: Call, parameters: Answer) -> Answer:
    return call(MaxResults=1)


# ------------------------------------------------------------------------------------------------------------- identity
def test_a_stream_that_was_created_anew_is_another_one(client: FaultyClient, log: LogUnderTest) -> None:
    before = log.incarnation
    assert log.incarnation == before
    client.real.delete_stream(StreamName=STREAM)
    until_gone(client)

    log.wait(log.log.create_stream(STREAM, 1))

    assert log.incarnation != before
    assert "/" not in before


def test_the_retention_is_the_streams(client: FaultyClient, log: LogUnderTest) -> None:
    client.real.increase_stream_retention_period(StreamName=STREAM, RetentionPeriodHours=48)

    assert log.wait(log.log.retention_us(STREAM)) == 48 * 3_600 * US_PER_SECOND
