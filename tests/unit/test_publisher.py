"""The publisher: whatever becomes of its puts, readers take in every output once, in lineage order per shard."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import LogError
from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import FROM_SHARD, Envelope, decode, encode
from pipeline.kernel.hashrange import FULL_RANGE, LAST_HASH, HashRange
from pipeline.kernel.position import Position, Source, pack_lineage
from pipeline.ports import Entry, Landed, Refused, ShardDescription
from pipeline.publisher import RECORD_BYTES_MAX, USER_RECORDS_MAX, Publisher
from tests.faulty_log import Fate, FaultyLog, fates
from tests.readings import Taken, read_stream
from tests.virtual_clock import SOME_DAY_US, VirtualClock

STREAM = "clearing"
OTHER_STREAM = "outcomes"
SOURCE = Source("log-1", "payments", "shardId-000000000000").pack()
QUARTER = (LAST_HASH + 1) // 4
LANDED, REFUSED, UNACKNOWLEDGED, LATE = Fate
KEYED, BROADCAST = 300, 301
"""Kinds."""


@dataclass
class Downstream:
    """A stream with some shards, a publisher for one source, and what its readers take in."""

    shards: int = 1
    fates: Sequence[Fate] = ()
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.log = FaultyLog(self.clock, fates(*self.fates))
        self.publisher = Publisher(self.log, self.clock)
        self._records = 0
        for stream in (STREAM, OTHER_STREAM):
            asyncio.run(self.log.create_stream(stream, self.shards))

    def publish(self, *outputs: Output) -> None:
        """Publish a batch."""
        asyncio.run(self.publisher.publish(outputs))

    def outputs(self, *hashes: int | HashRange, size: int = 0, stream: str = STREAM) -> list[Output]:
        """Return outputs of the records that come next: one to each hash, or a broadcast to a range."""
        return [self._output(hashed, size, stream) for hashed in hashes]

    def taken(self, stream: str = STREAM) -> list[Taken]:
        """Return what readers take in."""
        return asyncio.run(read_stream(self.log, stream))

    def numbers(self, stream: str = STREAM) -> list[int]:
        """Return which records' outputs readers take in, in order of shards and then of arrival."""
        return [number_of(taken.envelope) for taken in self.taken(stream)]

    def open_shards(self) -> list[ShardDescription]:
        shards = asyncio.run(self.log.shards(STREAM))
        return sorted((s for s in shards if not s.closed), key=lambda shard: shard.hash_range.first)

    def split(self, hashed: int, at: int) -> None:
        """Split the shard that owns ``hashed``."""
        asyncio.run(self.log.split(STREAM, self._owner(hashed), at))

    def merge(self, hashed: int, other: int) -> None:
        """Merge the shards that own the two."""
        asyncio.run(self.log.merge(STREAM, self._owner(hashed), self._owner(other)))

    def _owner(self, hashed: int) -> str:
        return next(shard.shard_id for shard in self.open_shards() if hashed in shard.hash_range)

    def _output(self, hashed: int | HashRange, size: int, stream: str) -> Output:
        self._records += 1
        address = hashed if isinstance(hashed, HashRange) else HashRange(hashed, hashed)
        first, last = address.first_bytes, address.last_bytes
        lineage = pack_lineage(Position(self._records, 0).pack(), 0)
        kind = KEYED if first == last else BROADCAST
        envelope = Envelope(FROM_SHARD, kind, 1, SOME_DAY_US, first, last, lineage, SOURCE, bytes(size))
        return Output(stream, first, last, encode(envelope))


def test_outputs_of_a_shard_travel_in_one_record() -> None:
    downstream = Downstream(shards=2)
    low, high = 1, LAST_HASH

    downstream.publish(*downstream.outputs(low, high, low))

    ((_, entries),) = downstream.log.puts
    assert [len(entry.user_records) for entry in entries] == [2, 1]
    assert downstream.numbers() == [1, 3, 2]


def test_each_output_goes_to_its_stream() -> None:
    downstream = Downstream()
    downstream.publish(*downstream.outputs(1), *downstream.outputs(1, stream=OTHER_STREAM))

    assert (downstream.numbers(), downstream.numbers(OTHER_STREAM)) == ([1], [2])


def test_only_what_was_refused_is_put_again() -> None:
    downstream = Downstream(shards=2, fates=[REFUSED, LANDED])

    downstream.publish(*downstream.outputs(1, LAST_HASH))

    assert [len(entries) for _, entries in downstream.log.puts] == [2, 1]
    assert downstream.numbers() == [1, 2]


def test_a_lost_acknowledgement_is_a_repeat_that_readers_drop() -> None:
    downstream = Downstream(fates=[UNACKNOWLEDGED])

    downstream.publish(*downstream.outputs(1, 1))

    assert len(records_in(downstream)) == 2
    assert downstream.numbers() == [1, 2]


def test_nothing_overtakes_what_was_refused() -> None:
    downstream = Downstream(fates=[REFUSED, REFUSED])
    first, second = downstream.outputs(1), downstream.outputs(1)

    downstream.publish(*first)
    downstream.publish(*second)

    assert downstream.numbers() == [1, 2]


def test_a_put_that_arrives_long_after_it_was_given_up_is_dropped() -> None:
    downstream = Downstream(fates=[LATE])
    downstream.publish(*downstream.outputs(1))
    downstream.publish(*downstream.outputs(1))

    asyncio.run(downstream.log.deliver(downstream.log.late[0]))

    assert downstream.numbers() == [1, 2]


def test_waiting_between_tries_grows_up_to_a_limit() -> None:
    clock = VirtualClock()
    downstream = Downstream(fates=[REFUSED] * 12, clock=clock)

    downstream.publish(*downstream.outputs(1))

    waited_seconds = (clock.now_us() - SOME_DAY_US) / 1_000_000
    assert waited_seconds == pytest.approx(sum(min(0.01 * 2**n, 5.0) for n in range(12)))


def test_what_lands_on_a_child_that_does_not_own_it_is_put_again_behind_nothing_later() -> None:
    downstream = Downstream()
    low, high = 1, LAST_HASH
    downstream.publish(*downstream.outputs(low))
    downstream.split(low, at=QUARTER)

    downstream.publish(*downstream.outputs(low, high, low, high))

    assert downstream.numbers() == [1, 2, 4, 3, 5]


def test_what_lands_on_a_merged_shard_is_there() -> None:
    downstream = Downstream(shards=2)
    downstream.publish(*downstream.outputs(1, LAST_HASH))
    downstream.merge(1, LAST_HASH)

    downstream.publish(*downstream.outputs(1, LAST_HASH, 1))

    assert sorted(downstream.numbers()) == [1, 2, 3, 4, 5]
    assert in_order_everywhere(downstream)


def test_a_broadcast_reaches_every_shard_with_the_range_it_is_for() -> None:
    downstream = Downstream(shards=3)

    downstream.publish(*downstream.outputs(FULL_RANGE))

    taken = downstream.taken()
    ranges = [shard.hash_range for shard in downstream.open_shards()]
    assert [(address_of(t.envelope), list(t.pieces)) for t in taken] == [(part, [part]) for part in ranges]
    assert {t.envelope.lineage for t in taken} == {taken[0].envelope.lineage}


@pytest.mark.parametrize("reshards", [["split"], ["merge"], ["split", "merge"], ["merge", "split", "split"]])
def test_a_broadcast_tiles_the_hash_space_whatever_was_resharded_behind_our_back(reshards: list[str]) -> None:
    downstream = Downstream(shards=2)
    downstream.publish(*downstream.outputs(FULL_RANGE))
    for number, reshard in enumerate(reshards):
        if reshard == "split":
            downstream.split(at := QUARTER // (number + 1), at)
        else:
            downstream.merge(QUARTER, LAST_HASH)

    downstream.publish(*downstream.outputs(FULL_RANGE))

    assert tiles_everything(downstream, number=2)


def test_what_is_left_of_a_broadcast_for_a_single_hash_says_so() -> None:
    downstream = Downstream()
    downstream.publish(*downstream.outputs(1))
    downstream.split(1, at=LAST_HASH)

    downstream.publish(*downstream.outputs(FULL_RANGE))

    addresses = [address_of(taken.envelope) for taken in downstream.taken() if number_of(taken.envelope) == 2]
    assert addresses == [FULL_RANGE, HashRange(LAST_HASH, LAST_HASH)]


def test_a_large_batch_is_cut_into_records_that_a_log_takes_in_order() -> None:
    downstream = Downstream(shards=2)
    third = RECORD_BYTES_MAX // 3
    hashes = [1, LAST_HASH, 1, 1, LAST_HASH, 1, 1, 1, LAST_HASH, 1]

    downstream.publish(*downstream.outputs(*hashes, size=third))

    sizes = [sum(map(len, entry.user_records)) for _, entries in downstream.log.puts for entry in entries]
    assert max(sizes) <= RECORD_BYTES_MAX
    assert downstream.numbers() == [1, 3, 4, 6, 7, 8, 10, 2, 5, 9]


def test_many_small_outputs_are_cut_into_records_whose_framing_a_log_takes() -> None:
    downstream = Downstream()

    downstream.publish(*downstream.outputs(*[1] * (USER_RECORDS_MAX + 2)))

    sizes = [len(entry.user_records) for _, entries in downstream.log.puts for entry in entries]
    assert sizes == [USER_RECORDS_MAX, 2]
    assert downstream.numbers() == list(range(1, USER_RECORDS_MAX + 3))


def test_a_small_output_does_not_overtake_a_large_one_that_had_to_wait() -> None:
    downstream = Downstream()
    large, small = RECORD_BYTES_MAX - 1_000, 10
    outputs = [
        *downstream.outputs(1, size=large),
        *downstream.outputs(1, size=large),
        *downstream.outputs(1, size=small),
    ]

    downstream.publish(*outputs)

    assert downstream.numbers() == [1, 2, 3]


def test_a_broadcast_waits_only_where_there_is_no_room() -> None:
    downstream = Downstream(shards=2)
    large = RECORD_BYTES_MAX - 1_000

    downstream.publish(*downstream.outputs(1, size=large), *downstream.outputs(FULL_RANGE, size=2_000))

    first_put, second_put = downstream.log.puts
    assert [len(first_put[1]), len(second_put[1])] == [2, 1]
    assert tiles_everything(downstream, number=2)
    assert downstream.numbers() == [1, 2, 2]


def test_a_shard_that_the_log_does_not_list_halts() -> None:
    downstream = Downstream()
    publisher = Publisher(AmnesicLog(downstream.clock, fates()), downstream.clock)

    with pytest.raises(LogError, match="does not list"):
        asyncio.run(publish_after_creating(publisher, downstream.outputs(1)))


class AmnesicLog(FaultyLog):
    """Says that records landed on a shard it has forgotten."""

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> list[Landed | Refused]:
        return [Landed("shardId-000000009999", 1) for _ in entries]


async def publish_after_creating(publisher: Publisher, outputs: Sequence[Output]) -> None:
    await publisher._log.create_stream(STREAM, 1)
    await publisher.publish(outputs)


# --------------------------------------------------------------------------------------------------- any history


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Return batches, splits, merges and arrivals of what was late, in any order."""
    step = st.tuples(st.sampled_from(["batch", "batch", "split", "merge", "deliver"]), st.integers(0, LAST_HASH))
    return draw(st.lists(step, max_size=12))


@settings(max_examples=200)
@given(st.integers(1, 3), histories(), st.lists(st.sampled_from(Fate), max_size=30), st.randoms(use_true_random=False))
def test_any_faults_and_reshards_leave_every_output_once_and_in_order(
    shards: int, history: list[tuple[str, int]], said: list[Fate], random: object
) -> None:
    downstream = Downstream(shards, said)
    wanted = {False: 0, True: 0}
    for what, hashed in history:
        if what == "batch":
            hashes = [random.choice([hashed, random.randrange(LAST_HASH), FULL_RANGE]) for _ in range(5)]  # type: ignore[attr-defined]
            downstream.publish(*downstream.outputs(*hashes))
            for to in hashes:
                wanted[to is FULL_RANGE] += 1
        elif what == "deliver" and downstream.log.late:
            asyncio.run(downstream.log.deliver(downstream.log.late[hashed % len(downstream.log.late)]))
        else:
            reshard(downstream, what, hashed)

    taken = downstream.taken()
    keyed = [number_of(t.envelope) for t in taken if t.envelope.kind == KEYED]
    broadcasts = {number_of(t.envelope) for t in taken if t.envelope.kind == BROADCAST}
    assert len(keyed) == len(set(keyed)) == wanted[False]
    assert len(broadcasts) == wanted[True]
    assert all(tiles_everything(downstream, number) for number in broadcasts)
    assert in_order_everywhere(downstream)


def reshard(downstream: Downstream, what: str, hashed: int) -> None:
    opened = downstream.open_shards()
    owner = next(shard.hash_range for shard in opened if hashed in shard.hash_range)
    if what == "split" and owner.first < hashed:
        downstream.split(hashed, at=hashed)
    elif what == "merge" and owner.last < LAST_HASH:
        downstream.merge(hashed, owner.last + 1)


def number_of(envelope: Envelope) -> int:
    return Position.unpack(envelope.lineage[:20]).sequence


def address_of(envelope: Envelope) -> HashRange:
    return HashRange.from_bytes(envelope.first, envelope.last)


def records_in(downstream: Downstream) -> list[bytes]:
    """Return every record of the stream, repeats too."""
    shards = asyncio.run(downstream.log.shards(STREAM))
    return [
        b"".join(record.user_records)
        for shard in shards
        for record in asyncio.run(downstream.log.records(STREAM, shard.shard_id))
    ]


def tiles_everything(downstream: Downstream, number: int) -> bool:
    """Say whether every hash took in the broadcast once."""
    taken = [t for t in downstream.taken() if number_of(t.envelope) == number]
    pieces = sorted(piece for t in taken for piece in (t.pieces or [address_of(t.envelope)]))
    edges = [(piece.first, piece.last) for piece in pieces]
    borders = [first for first, _ in edges[1:]] == [last + 1 for _, last in edges[:-1]]
    return borders and edges[0][0] == 0 and edges[-1][1] == LAST_HASH


def in_order_everywhere(downstream: Downstream) -> bool:
    """Say whether every hash takes in what is for it in lineage order."""
    last_of: dict[int, int] = {}
    for taken in downstream.taken():
        number, hashed = number_of(taken.envelope), int.from_bytes(taken.envelope.first, "big")
        if taken.envelope.kind == KEYED:
            if last_of.get(hashed, 0) >= number:
                return False
            last_of[hashed] = number
    return True


def test_a_batch_without_outputs_asks_the_log_nothing() -> None:
    downstream = Downstream()

    downstream.publish()

    assert downstream.log.puts == []


def test_an_output_keeps_its_bytes_whatever_becomes_of_it() -> None:
    downstream = Downstream(shards=2, fates=[REFUSED, UNACKNOWLEDGED, LATE, REFUSED])
    outputs = downstream.outputs(1, LAST_HASH, 3 * QUARTER)

    downstream.publish(*outputs)

    assert [encode(taken.envelope) for taken in downstream.taken()] == [
        output.record
        for output in sorted(outputs, key=lambda output: (output.first > b"\x7f", decode(output.record).lineage))
    ]
