"""Putting on Kinesis: what was stored is said, and what was not, and what nobody knows."""

from __future__ import annotations

import pytest

from pipeline.errors import LogError
from pipeline.ports import Entry, Landed, Refused
from pipeline.stream_logs.kinesis import REQUEST_BYTES_MAX, REQUEST_RECORDS_MAX
from tests.emulator import kinesis_under_test
from tests.emulator.faulty_client import (
    THROTTLED,
    Answer,
    Call,
    Fate,
    FaultyClient,
    denied,
    overloaded,
    refusing,
    throttled,
    unanswered,
    unreachable,
)
from tests.log_under_test import QUARTER, STREAM, LogUnderTest, an_entry
from tests.virtual_clock import SOME_DAY_US, VirtualClock

pytestmark = pytest.mark.emulator


def put(log: LogUnderTest, *entries: Entry) -> list[Landed | Refused]:
    return list(log.wait(log.log.put_records(STREAM, entries)))


def test_of_a_put_that_failed_in_part_each_entry_has_its_own_result(client: FaultyClient, log: LogUnderTest) -> None:
    client.next("put_records", refusing(1))

    first, second, third = put(log, an_entry(b"a"), an_entry(b"b"), an_entry(b"c"))

    assert isinstance(second, Refused)
    assert THROTTLED in second.reason
    assert "Rate exceeded for shard" in second.reason
    assert [type(first), type(third)] == [Landed, Landed]
    assert log.contents() == [b"a", b"c"]


@pytest.mark.parametrize("fate", [throttled, overloaded, unreachable])
def test_a_put_that_was_turned_away_is_refused_with_the_reason(
    client: FaultyClient, log: LogUnderTest, fate: Fate
) -> None:
    client.next("put_records", fate)

    results = put(log, an_entry(b"a"), an_entry(b"b"))

    assert all(isinstance(result, Refused) and "put_records" in result.reason for result in results)
    assert len(results) == 2
    assert log.contents() == []


def test_a_put_whose_answer_was_lost_is_refused_though_it_is_there(client: FaultyClient, log: LogUnderTest) -> None:
    client.next("put_records", unanswered)

    (result,) = put(log, an_entry(b"a"))

    assert isinstance(result, Refused)
    assert "Read timeout" in result.reason
    assert log.contents() == [b"a"]


def test_what_trying_again_does_not_mend_is_an_error(client: FaultyClient, log: LogUnderTest) -> None:
    client.next("put_records", denied)

    with pytest.raises(LogError, match=r"refused put_records.*AccessDenied"):
        put(log, an_entry(b"a"))


def test_puts_that_are_refused_again_and_again_wait_longer_and_longer(client: FaultyClient) -> None:
    clock = VirtualClock()
    with kinesis_under_test.opened(client=client, clock=clock) as log:
        client.next("put_records", *[throttled] * 12)
        waits_us = []
        for _ in range(12):
            began_us = clock.now_us()
            put(log, an_entry(b"a"))
            waits_us.append(clock.now_us() - began_us)
        began_us = clock.now_us()
        log.put(b"a")

    assert all(wait <= min(50_000 * 2**n, 2_000_000) for n, wait in enumerate(waits_us))
    assert sum(waits_us[6:]) > sum(waits_us[:3])
    assert clock.now_us() == began_us > SOME_DAY_US


def test_more_entries_than_one_request_takes_go_in_several(client: FaultyClient, log: LogUnderTest) -> None:
    count = REQUEST_RECORDS_MAX + 1

    landed = log.put_all(*(an_entry(b"%d" % number) for number in range(count)))

    assert [len(asked["Records"]) for asked in client.asked("put_records")] == [REQUEST_RECORDS_MAX, 1]
    assert log.contents() == [b"%d" % number for number in range(count)]
    assert [record.sequence for record in log.read().records] == [each.sequence for each in landed]


def test_more_bytes_than_one_request_takes_go_in_several(client: FaultyClient, log: LogUnderTest) -> None:
    large = REQUEST_BYTES_MAX // 6
    client.always("put_records", small)

    log.put_all(*(an_entry(bytes(large)) for _ in range(7)))

    assert [len(asked["Records"]) for asked in client.asked("put_records")] == [5, 2]


def small(call: Call, parameters: Answer) -> Answer:
    """Spare the emulator the content."""
    return call(Records=[record | {"Data": b"small"} for record in parameters["Records"]])


def test_once_a_request_was_refused_the_next_is_not_tried(client: FaultyClient, log: LogUnderTest) -> None:
    client.next("put_records", refusing(0))

    results = put(log, *(an_entry(b"%d" % number) for number in range(REQUEST_RECORDS_MAX + 2)))

    assert len(client.asked("put_records")) == 1
    assert [number for number, result in enumerate(results) if isinstance(result, Refused)] == [0, 500, 501]
    assert all("Rate exceeded" in result.reason for result in results if isinstance(result, Refused))


def test_every_user_record_carries_the_hash_key_that_the_record_was_put_under(
    client: FaultyClient, log: LogUnderTest
) -> None:
    from aws_kinesis_agg.deaggregator import iter_deaggregate_records

    log.put(b"one", b"two", hashed=QUARTER)

    (shard,) = client.real.list_shards(StreamName=STREAM)["Shards"]
    asked = {"StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.real.get_shard_iterator(**asked)["ShardIterator"]
    stored = client.real.get_records(ShardIterator=iterator)["Records"]
    found = [each["kinesis"]["explicitHashKey"] for each in iter_deaggregate_records(stored, data_format="Boto3")]
    assert found == [str(QUARTER)] * 2
