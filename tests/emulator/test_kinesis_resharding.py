"""Shards split and merge behind a publisher's back: its readers take in every output once, in lineage order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.errors import LogError
from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import FROM_SHARD, Envelope, encode
from pipeline.kernel.hashrange import FULL_RANGE, LAST_HASH, HashRange, missing_from
from pipeline.kernel.position import Position, Source, pack_lineage
from pipeline.ports import Entry, Record, ShardDescription
from pipeline.publisher import Publisher
from pipeline.system_clock import SystemClock
from tests.emulator.faulty_client import Answer, Call, Fate, FaultyClient, refusing, throttled, unanswered
from tests.log_under_test import FIRST_SHARD, QUARTER, STREAM, LogUnderTest
from tests.readings import Taken, read_stream

pytestmark = pytest.mark.emulator

SOURCE = Source("incarnation", "payments", FIRST_SHARD).pack()
LOW, HIGH = 1, LAST_HASH
MIDDLE = 2 * QUARTER


class Downstream:
    """A stream on Kinesis, a publisher of one source shard, and what readers take in."""

    def __init__(self, log: LogUnderTest, client: FaultyClient) -> None:
        self.log = log
        self._client = client
        self.refused: list[str] = []
        self._publisher = Publisher(log.log, SystemClock(), lambda _, reason: self.refused.append(reason))
        self._number = 0

    def publish(self, *addresses: int | HashRange) -> None:
        """Publish a batch: one output for each hash, or a broadcast to a range."""
        self.log.wait(self._publisher.publish([self._output(address) for address in addresses]))

    def numbers(self, shard_id: str | None = None) -> list[int]:
        """Return which outputs readers take in, in order of shards and then of arrival."""
        return [number_of(taken) for taken in self.taken() if shard_id in {None, taken.shard_id}]

    def taken(self) -> list[Taken]:
        return self.log.wait(read_stream(self, STREAM))

    def puts(self) -> int:
        return len(self._client.asked("put_records"))

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        return await self.log.log.shards(stream)

    async def records(self, stream: str, shard_id: str) -> Sequence[Record]:
        return (await self.log.log.read(stream, shard_id, 0, 1 << 60)).records

    def _output(self, address: int | HashRange) -> Output:
        self._number += 1
        owned = address if isinstance(address, HashRange) else HashRange(address, address)
        first, last = owned.first_bytes, owned.last_bytes
        lineage = pack_lineage(Position(self._number, 0).pack(), 0)
        return Output(STREAM, first, last, encode(Envelope(FROM_SHARD, 300, 1, 1, first, last, lineage, SOURCE, b"")))


def number_of(taken: Taken) -> int:
    return Position.unpack(taken.envelope.lineage).sequence


@pytest.fixture
def downstream(client: FaultyClient, log: LogUnderTest) -> Downstream:
    return Downstream(log, client)


def test_what_landed_on_a_child_that_does_not_own_it_is_put_again_with_its_old_lineage(downstream: Downstream) -> None:
    downstream.publish(LOW, HIGH)
    low, high = downstream.log.split(MIDDLE)

    downstream.publish(LOW, HIGH, LOW, HIGH)

    assert downstream.numbers(low.shard_id) == [3, 5]
    assert downstream.numbers(high.shard_id) == [4, 6]
    assert downstream.puts() == 3


def test_a_broadcast_reaches_both_children_of_a_split_that_the_publisher_has_not_seen(downstream: Downstream) -> None:
    downstream.publish(FULL_RANGE)
    low, high = downstream.log.split(MIDDLE)

    downstream.publish(HIGH, FULL_RANGE)

    second = [taken for taken in downstream.taken() if number_of(taken) == 3]
    assert [taken.shard_id for taken in second] == [low.shard_id, high.shard_id]
    assert missing_from(FULL_RANGE, [piece for taken in second for piece in taken.pieces]) == []


def test_what_lands_on_a_merged_shard_is_there(downstream: Downstream) -> None:
    low, high = downstream.log.split(MIDDLE)
    downstream.publish(LOW, HIGH, FULL_RANGE)
    merged = downstream.log.merge(low.shard_id, high.shard_id)

    downstream.publish(LOW, HIGH, FULL_RANGE)

    assert sorted(set(downstream.numbers(merged.shard_id))) == [4, 5, 6]
    sixth = [taken for taken in downstream.taken() if number_of(taken) == 6]
    assert missing_from(FULL_RANGE, [piece for taken in sixth for piece in taken.pieces]) == []


def test_a_reader_restarts_from_the_middle_of_a_merged_shard(downstream: Downstream) -> None:
    log = downstream.log
    low, high = log.split(MIDDLE)
    merged = log.merge(low.shard_id, high.shard_id)
    first = log.put(b"one").sequence
    log.put(b"two")

    assert [record.user_records[0] for record in log.read(first, shard_id=merged.shard_id).records] == [b"two"]


@pytest.mark.parametrize(
    "faults",
    [
        [throttled, unanswered],
        [unanswered, refusing(0)],
        [refusing(1), unanswered, refusing(0)],
    ],
)
def test_puts_that_fail_while_shards_split_lose_and_repeat_nothing(
    client: FaultyClient, downstream: Downstream, faults: list[Fate]
) -> None:
    low, high = downstream.log.split(MIDDLE)
    downstream.publish(LOW, HIGH)
    downstream.log.split(QUARTER, low.shard_id)
    client.next("put_records", *faults)

    downstream.publish(LOW, MIDDLE - 1, HIGH, FULL_RANGE)
    downstream.publish(LOW, MIDDLE - 1, HIGH)

    assert downstream.refused
    taken = [(number_of(each), each.envelope.first) for each in downstream.taken()]
    assert sorted(number for number, _ in taken) == [1, 2, 3, 4, 5, *[6] * 3, 7, 8, 9]
    assert downstream.numbers(high.shard_id) == [2, 5, 6, 9]


def test_a_split_whose_answer_was_lost_is_seen_to_be_done(client: FaultyClient, log: LogUnderTest) -> None:
    client.next("split_shard", throttled, unanswered)

    low, high = log.split(MIDDLE)

    assert (low.hash_range.last + 1, high.hash_range.first) == (MIDDLE, MIDDLE)
    assert len(log.shards()) == 3


def test_a_stream_whose_creation_was_not_answered_is_there(client: FaultyClient, log: LogUnderTest) -> None:
    client.next("create_stream", unanswered)

    log.wait(log.log.create_stream("clearing", 2))

    assert len(log.wait(log.log.shards("clearing"))) == 2


def test_a_stream_that_cannot_be_created_is_an_error_that_says_why(log: LogUnderTest) -> None:
    with pytest.raises(LogError, match="stream 'no such name' cannot be created"):
        log.wait(log.log.create_stream("no such name", 1))


def test_a_record_on_a_shard_that_the_list_has_not_yet_is_waited_for(client: FaultyClient, log: LogUnderTest) -> None:
    log.shards()
    client.real.split_shard(StreamName=STREAM, ShardToSplit=FIRST_SHARD, NewStartingHashKey=str(MIDDLE))
    while len(client.real.list_shards(StreamName=STREAM)["Shards"]) == 1:
        pass
    client.next("list_shards", without_the_newest)

    (landed,) = log.put_all(Entry(bytes(16), [b"x"]))

    assert landed.shard_id in [shard.shard_id for shard in log.shards() if not shard.closed]


def without_the_newest(call: Call, parameters: Answer) -> Answer:
    answer = call()
    answer["Shards"] = answer["Shards"][:1]
    return answer
