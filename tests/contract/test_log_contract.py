"""What every log holds, whatever it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BeyondEndError, LogError, TrimmedRangeError
from pipeline.kernel.hashrange import FULL_RANGE, LAST_HASH, missing_from
from pipeline.stream_logs.frame import USER_RECORDS_MAX
from pipeline.stream_logs.local import LocalLog
from pipeline.stream_logs.memory import MemoryLog
from tests.emulator import kinesalite, kinesis_under_test
from tests.emulator.deviations import DEVIATIONS, OF_KINESALITE
from tests.log_under_test import FIRST_SHARD, QUARTER, STREAM, LogUnderTest, an_entry, contents
from tests.virtual_clock import SOME_DAY_US, US_PER_SECOND, VirtualClock

OURS = ("memory", "local")
EMULATORS = ("kinesis-local", "kinesalite")
LOGS = (*OURS, *(pytest.param(name, marks=pytest.mark.emulator) for name in EMULATORS))


@contextmanager
def a_log(kind: str, clock: VirtualClock, shards: int = 1) -> Iterator[LogUnderTest]:
    """Make a log with a stream, and remove it afterwards.  A local one begins a segment with each put."""
    if kind == "memory":
        with LogUnderTest(MemoryLog(clock, uuid4().hex), shards) as log:
            yield log
        return
    if kind == "kinesis-local":
        with kinesis_under_test.opened(shards) as log:
            yield log
        return
    if kind == "kinesalite":
        with kinesalite.client() as client, kinesis_under_test.opened(shards, client) as log:
            yield log
        return
    with TemporaryDirectory() as folder:
        local = LocalLog(Path(folder), clock, segment_bytes=1)
        with LogUnderTest(local, shards) as log:
            yield log
        local.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(autouse=True)
def _known_deviations(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("emulator"):
        of_this_one = OF_KINESALITE if "kinesalite" in request.node.callspec.params.values() else {}
        reason = (DEVIATIONS | of_this_one).get(request.node.originalname)
        if reason is not None:
            pytest.skip(reason)


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest, clock: VirtualClock) -> Iterator[LogUnderTest]:
    with a_log(request.param, clock) as log:
        yield log


@pytest.fixture(params=LOGS)
def log_of_four(request: pytest.FixtureRequest, clock: VirtualClock) -> Iterator[LogUnderTest]:
    with a_log(request.param, clock, shards=4) as log:
        yield log


def test_every_known_deviation_is_about_a_rule_of_this_contract() -> None:
    assert DEVIATIONS.keys() | OF_KINESALITE.keys() <= globals().keys()


# ------------------------------------------------------------------------------------------------------------- putting
def test_records_are_read_in_the_order_in_which_they_were_put(log: LogUnderTest) -> None:
    log.put(b"one")
    log.put(b"two", b"three")
    log.put_all(an_entry(b"four"), an_entry(b"five"))

    assert log.contents() == [b"one", b"two", b"three", b"four", b"five"]


def test_a_record_is_read_as_it_was_put(log: LogUnderTest) -> None:
    user_records = (b"", bytes(range(256)), b"\xff" * 70_000, b"")

    landed = log.put(*user_records)

    (record,) = log.read().records
    assert tuple(record.user_records) == user_records
    assert {type(user_record) for user_record in record.user_records} == {bytes}
    assert record.sequence == landed.sequence


def test_sequence_numbers_lie_above_0_and_increase(log: LogUnderTest) -> None:
    landed = [log.put(b"x" * size).sequence for size in (1, 1000, 1)]

    assert landed[0] > 0
    assert landed == sorted(set(landed))
    assert [record.sequence for record in log.read().records] == landed


def test_an_entry_lands_on_the_shard_that_owns_its_hash(log_of_four: LogUnderTest) -> None:
    hashes = [0, QUARTER - 1, QUARTER, 2 * QUARTER, 3 * QUARTER, LAST_HASH]

    landed = log_of_four.put_all(*(an_entry(b"x", hashed=hashed) for hashed in hashes))

    owners = {shard.shard_id: shard.hash_range for shard in log_of_four.shards()}
    assert all(hashed in owners[result.shard_id] for hashed, result in zip(hashes, landed, strict=True))


def test_results_are_in_the_order_of_the_entries(log_of_four: LogUnderTest) -> None:
    entries = [an_entry(b"%d" % i, hashed=(i * 7 % 4) * QUARTER) for i in range(20)]

    landed = log_of_four.put_all(*entries)

    read = {
        (shard.shard_id, record.sequence): record.user_records[0]
        for shard in log_of_four.shards()
        for record in log_of_four.read(shard_id=shard.shard_id).records
    }
    assert [read[result] for result in landed] == [b"%d" % i for i in range(20)]


def test_concurrent_puts_all_land_once_and_each_in_its_own_order(log_of_four: LogUnderTest) -> None:
    async def producer(name: int) -> None:
        for i in range(20):
            await log_of_four.log.put_records(STREAM, [an_entry(b"%d/%02d" % (name, i), hashed=name % 4 * QUARTER)])

    async def all_of_them() -> None:
        await asyncio.gather(*map(producer, range(8)))

    log_of_four.wait(all_of_them())

    read = [user_record for shard in log_of_four.shards() for user_record in log_of_four.contents(shard.shard_id)]
    assert sorted(read) == [b"%d/%02d" % (name, i) for name in range(8) for i in range(20)]
    for name in range(8):
        own = [user_record for user_record in read if user_record.startswith(b"%d/" % name)]
        assert own == sorted(own)


def test_nothing_is_put_by_an_empty_request(log: LogUnderTest) -> None:
    assert log.put_all() == []
    assert log.read().records == ()


def test_a_record_holds_at_least_one_user_record(log: LogUnderTest) -> None:
    with pytest.raises(LogError, match="none"):
        log.put()


def test_a_record_that_is_too_large_is_refused_with_its_size_and_the_limit(log: LogUnderTest) -> None:
    log.put(bytes(log.user_bytes_max))

    with pytest.raises(LogError, match=r"a record of \d+ bytes.* is refused: .*limit is \d+ bytes"):
        log.put_all(an_entry(b"fits"), an_entry(bytes(log.user_bytes_max), b"x"))
    with pytest.raises(LogError, match=f"{USER_RECORDS_MAX + 1} user records"):
        log.put(*[b""] * (USER_RECORDS_MAX + 1))

    assert len(log.read().records) == 1


def test_a_hash_has_16_bytes(log: LogUnderTest) -> None:
    with pytest.raises(LogError, match="16 bytes"):
        log.put_all(an_entry(b"x")._replace(explicit_hash=b"short"))


# ------------------------------------------------------------------------------------------------------------- reading
def test_a_new_shard_is_empty_and_not_ended(log: LogUnderTest) -> None:
    given = log.read()

    assert (list(given.records), given.ended, given.behind_records, given.behind_us) == ([], False, 0, 0)
    assert log.latest() == log.trim_horizon() == 0


def test_a_read_gives_whole_records_until_the_limit_is_reached(log: LogUnderTest) -> None:
    for _ in range(4):
        log.put(b"a", b"b", b"c")

    assert len(contents(log.read(limit=1).records)) == 3
    assert len(contents(log.read(limit=3).records)) == 3
    assert len(contents(log.read(limit=4).records)) == 6
    assert len(contents(log.read(limit=100).records)) == 12


@pytest.mark.parametrize("kind", LOGS)
def test_reading_on_behind_the_last_record_gives_every_record_once(kind: str) -> None:
    @settings(max_examples=25 if kind in OURS else 3, deadline=None)
    @given(
        sizes=st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=30), max_size=12),
        limits=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    )
    def holds(sizes: list[list[int]], limits: list[int]) -> None:
        read_on(kind, sizes, limits)

    holds()


def read_on(kind: str, sizes: list[list[int]], limits: list[int]) -> None:
    put = [[bytes([i % 256]) * size for i, size in enumerate(record)] for record in sizes]
    with a_log(kind, VirtualClock()) as log:
        log.put_all(*(an_entry(*record) for record in put))
        total = sum(map(len, put))

        read: list[list[bytes]] = []
        after = turn = 0
        while given := log.read(after, limits[turn % len(limits)]).records:
            read += [list(record.user_records) for record in given]
            after = given[-1].sequence
            turn += 1
            assert log.read(0, sum(map(len, read))).behind_records == total - sum(map(len, read))

        assert read == put
        assert after == log.latest()


def test_a_reader_knows_how_far_it_is_behind(log: LogUnderTest, clock: VirtualClock) -> None:
    log.put(b"a", b"b")
    clock.move(3 * US_PER_SECOND)
    log.put(b"c", b"d", b"e")
    clock.move(2 * US_PER_SECOND)
    log.put(b"f")

    given = log.read(limit=1)

    assert (given.behind_records, given.behind_us) == (4, 5 * US_PER_SECOND)
    after_all = log.read(given.records[-1].sequence)
    assert (after_all.behind_records, after_all.behind_us) == (0, 0)


def test_a_position_beyond_the_end_is_an_error(log: LogUnderTest) -> None:
    end = log.put(b"x").sequence

    with pytest.raises(BeyondEndError, match=str(end + 1)):
        log.read(after=end + 1)


def test_what_does_not_exist_is_an_error_that_names_it(log: LogUnderTest) -> None:
    with pytest.raises(LogError, match="no stream 'refunds'"):
        log.wait(log.log.shards("refunds"))
    with pytest.raises(LogError, match="no stream 'refunds'"):
        log.wait(log.log.put_records("refunds", [an_entry(b"x")]))
    with pytest.raises(LogError, match="no stream 'refunds'"):
        log.wait(log.log.read("refunds", FIRST_SHARD, 0, 1))
    with pytest.raises(LogError, match="no shard 'shardId-000000000009'"):
        log.read(shard_id="shardId-000000000009")


# ---------------------------------------------------------------------------------------------------------------- time
def test_a_record_has_the_time_of_its_arrival(log: LogUnderTest, clock: VirtualClock) -> None:
    log.put(b"x")
    clock.move(5)
    log.put(b"x")
    clock.move(US_PER_SECOND)
    log.put(b"x")

    arrivals = [record.arrival_us - SOME_DAY_US for record in log.read().records]
    assert arrivals == [0, 5, US_PER_SECOND + 5]


def test_arrival_times_never_go_back_though_the_clock_does(log: LogUnderTest, clock: VirtualClock) -> None:
    log.put(b"x")
    clock.move(-US_PER_SECOND)
    log.put(b"x")
    (child, _) = log.split(1)
    log.put(b"x", hashed=0)

    (on_child,) = log.read(shard_id=child.shard_id).records
    assert [record.arrival_us for record in log.read().records] == [SOME_DAY_US, SOME_DAY_US]
    assert on_child.arrival_us == SOME_DAY_US


def test_reading_can_begin_at_a_time(log: LogUnderTest, clock: VirtualClock) -> None:
    for name in (b"a", b"b", b"c", b"d"):
        log.put_all(an_entry(name + b"1"), an_entry(name + b"2"))
        clock.move(US_PER_SECOND)

    def first_from(seconds: float) -> bytes:
        given = log.read(log.at_time(SOME_DAY_US + round(seconds * US_PER_SECOND)), limit=1)
        return given.records[0].user_records[0]

    assert [first_from(seconds) for seconds in (-1, 0, 0.5, 1, 1.5, 3)] == [b"a1", b"a1", b"b1", b"b1", b"c1", b"d1"]
    assert log.at_time(SOME_DAY_US + 4 * US_PER_SECOND) == log.latest()


def test_at_any_time_an_empty_shard_begins_at_its_end(log: LogUnderTest) -> None:
    assert log.at_time(0) == log.at_time(SOME_DAY_US) == log.latest()


def test_after_the_latest_only_records_to_come_are_read(log: LogUnderTest) -> None:
    log.put(b"old")
    latest = log.latest()
    log.put(b"new")

    assert contents(log.read(latest).records) == [b"new"]


# ---------------------------------------------------------------------------------------------------------- retention
def test_what_was_trimmed_cannot_be_read_and_the_error_names_the_range(log: LogUnderTest, clock: VirtualClock) -> None:
    first = log.put(b"a").sequence
    log.put(b"b")
    third = log.put(b"c").sequence
    clock.move(US_PER_SECOND)
    log.put(b"d")
    log.put(b"e")

    horizon = log.trim(before_us=SOME_DAY_US + 1)

    assert first <= horizon <= third
    assert log.trim_horizon() == horizon
    with pytest.raises(TrimmedRangeError) as error:
        log.read(after=0)
    assert error.value.missing == (0, horizon)
    assert contents(log.read(after=horizon).records)[-2:] == [b"d", b"e"]
    assert log.at_time(0) == horizon


def test_a_record_that_is_not_old_is_never_trimmed(log: LogUnderTest) -> None:
    log.put(b"a")
    log.put(b"b")

    assert log.trim(before_us=SOME_DAY_US) == 0
    assert log.contents() == [b"a", b"b"]


def test_a_shard_whose_records_were_all_trimmed_goes_on(log: LogUnderTest) -> None:
    log.put(b"old")
    end = log.put(b"old").sequence

    assert log.trim(before_us=SOME_DAY_US + 1) == end == log.latest() == log.trim_horizon()
    assert list(log.read(after=end).records) == []
    assert log.put(b"new").sequence > end
    assert contents(log.read(after=end).records) == [b"new"]


# ---------------------------------------------------------------------------------------------------------- resharding
def test_a_new_stream_has_open_shards_that_tile_the_hashes(log_of_four: LogUnderTest) -> None:
    shards = log_of_four.shards()

    assert len(shards) == 4
    assert missing_from(FULL_RANGE, [shard.hash_range for shard in shards]) == []
    assert not any(shard.closed or shard.parents for shard in shards)


def test_creating_a_stream_again_changes_nothing(log: LogUnderTest) -> None:
    log.put(b"x")

    log.wait(log.log.create_stream(STREAM, 7))

    assert len(log.shards()) == 1
    assert log.contents() == [b"x"]


def test_a_split_closes_the_shard_and_gives_its_hashes_to_two(log: LogUnderTest) -> None:
    low, high = log.split(QUARTER)

    parent = log.shards()[0]
    assert parent.closed
    assert (low.hash_range.first, low.hash_range.last, high.hash_range.first) == (0, QUARTER - 1, QUARTER)
    assert low.parents == high.parents == (parent.shard_id,)
    assert not low.closed
    assert not high.closed


def test_a_merge_closes_two_shards_and_gives_their_hashes_to_one(log_of_four: LogUnderTest) -> None:
    first, second, *_ = log_of_four.shards()

    child = log_of_four.merge(second.shard_id, first.shard_id)

    assert child.hash_range == first.hash_range.join(second.hash_range)
    assert set(child.parents) == {first.shard_id, second.shard_id}
    assert [shard.closed for shard in log_of_four.shards()] == [True, True, False, False, False]


def test_children_stand_behind_their_parents(log_of_four: LogUnderTest) -> None:
    shards = log_of_four.shards()
    merged = log_of_four.merge(shards[1].shard_id, shards[2].shard_id)
    low, high = log_of_four.split(2 * QUARTER, merged.shard_id)
    log_of_four.merge(high.shard_id, shards[3].shard_id)
    log_of_four.split(QUARTER + 2, low.shard_id)

    seen: set[str] = set()
    for shard in log_of_four.shards():
        assert seen.issuperset(shard.parents)
        seen.add(shard.shard_id)
    open_ranges = [shard.hash_range for shard in log_of_four.shards() if not shard.closed]
    assert missing_from(FULL_RANGE, open_ranges) == []


def test_a_put_after_a_split_lands_on_the_child_that_owns_the_hash(log: LogUnderTest) -> None:
    log.put(b"before")
    low, high = log.split(QUARTER)

    landed = log.put_all(an_entry(b"low", hashed=QUARTER - 1), an_entry(b"high", hashed=QUARTER))

    assert [result.shard_id for result in landed] == [low.shard_id, high.shard_id]
    assert [log.contents(shard.shard_id) for shard in log.shards()] == [[b"before"], [b"low"], [b"high"]]


def test_sequence_numbers_increase_along_a_lineage(log_of_four: LogUnderTest) -> None:
    first, second, *_ = log_of_four.shards()
    of_parents = [log_of_four.put(b"x" * size, hashed=hashed).sequence for size, hashed in ((9, 0), (99, QUARTER))]
    merged = log_of_four.merge(first.shard_id, second.shard_id)
    of_child = log_of_four.put(b"x").sequence
    low, high = log_of_four.split(QUARTER, merged.shard_id)
    of_grandchildren = [log_of_four.put(b"x", hashed=hashed).sequence for hashed in (0, QUARTER)]

    assert max(of_parents) < of_child < min(of_grandchildren)
    assert log_of_four.read(shard_id=low.shard_id).records[0].sequence == of_grandchildren[0]
    assert log_of_four.read(shard_id=high.shard_id).records[0].sequence == of_grandchildren[1]


def test_a_child_is_read_from_0_although_its_sequence_numbers_begin_above(log: LogUnderTest) -> None:
    end = log.put(b"x").sequence
    low, _ = log.split(QUARTER)
    assert list(log.read(after=0, shard_id=low.shard_id).records) == []

    log.put(b"first")

    assert log.trim_horizon(low.shard_id) == end
    assert log.contents(low.shard_id) == [b"first"]
    assert log.read(shard_id=low.shard_id).behind_records == 0


def test_only_the_last_record_of_a_closed_shard_ends_it(log: LogUnderTest) -> None:
    log.put(b"a")
    log.put(b"b")
    assert not log.read().ended
    log.split(QUARTER)

    first = log.read(limit=1)
    rest = log.read(first.records[-1].sequence)

    assert (first.ended, rest.ended) == (False, True)
    assert log.read(rest.records[-1].sequence) == rest._replace(records=log.read(log.latest()).records)
    assert log.latest() == rest.records[-1].sequence


def test_a_shard_that_was_closed_empty_ends_at_once(log: LogUnderTest) -> None:
    log.split(QUARTER)

    given = log.read()

    assert list(given.records) == []
    assert given.ended


def test_a_closed_shard_is_neither_split_nor_merged_again(log: LogUnderTest) -> None:
    low, high = log.split(QUARTER)

    with pytest.raises(LogError, match="closed"):
        log.split(QUARTER + 1)
    with pytest.raises(LogError, match="closed"):
        log.merge(FIRST_SHARD, low.shard_id)
    assert [shard.shard_id for shard in log.shards()] == [FIRST_SHARD, low.shard_id, high.shard_id]


@pytest.mark.parametrize("at", [0, 2 * QUARTER, LAST_HASH])
def test_a_shard_is_only_split_inside_its_range(log_of_four: LogUnderTest, at: int) -> None:
    with pytest.raises(LogError, match="cannot be split"):
        log_of_four.split(at)
    log_of_four.put(b"still open")


def test_only_adjacent_shards_are_merged(log_of_four: LogUnderTest) -> None:
    first, _, third, _ = log_of_four.shards()

    with pytest.raises(LogError, match="cannot be merged"):
        log_of_four.merge(first.shard_id, third.shard_id)
    with pytest.raises(LogError, match="cannot be merged"):
        log_of_four.merge(first.shard_id, first.shard_id)
    log_of_four.put(b"still open")


def test_puts_during_a_split_all_land_and_each_key_in_its_order(log: LogUnderTest) -> None:
    hashes = [0, QUARTER, 2 * QUARTER, 3 * QUARTER]

    async def producer(hashed: int) -> None:
        for i in range(30):
            await log.log.put_records(STREAM, [an_entry(b"%032x/%02d" % (hashed, i), hashed=hashed)])

    async def resharder() -> None:
        await log.log.split(STREAM, FIRST_SHARD, 2 * QUARTER)
        await log.log.split(STREAM, "shardId-000000000001", QUARTER)
        await log.log.merge(STREAM, "shardId-000000000004", "shardId-000000000002")

    async def all_of_them() -> None:
        await asyncio.gather(*map(producer, hashes), resharder())

    log.wait(all_of_them())

    in_lineage_order = [user_record for shard in log.shards() for user_record in log.contents(shard.shard_id)]
    for hashed in hashes:
        own = [user_record for user_record in in_lineage_order if user_record.startswith(b"%032x/" % hashed)]
        assert own == [b"%032x/%02d" % (hashed, i) for i in range(30)]


def test_every_lineage_of_shards_has_increasing_arrival_times_and_sequences(log: LogUnderTest) -> None:
    log.put(b"x")
    low, _ = log.split(QUARTER)
    log.put(b"x")

    records = [*log.read().records, *log.read(shard_id=low.shard_id).records]
    assert all(one.sequence < next_.sequence and one.arrival_us <= next_.arrival_us for one, next_ in pairwise(records))


# ------------------------------------------------------------------------------------------------------------ identity
def test_no_two_logs_have_the_same_incarnation(clock: VirtualClock) -> None:
    names = set()
    for kind in OURS * 2:
        with a_log(kind, clock) as log:
            assert log.incarnation == log.incarnation
            names.add(log.incarnation)
    assert len(names) == 4


def test_the_same_puts_get_the_same_sequence_numbers_in_every_log_of_ours(clock: VirtualClock) -> None:
    landed = []
    for kind in OURS:
        with a_log(kind, clock) as log:
            of_parent = log.put_all(an_entry(b"one", b"two"), an_entry(b"three"))
            log.split(QUARTER)
            landed.append([*of_parent, log.put(b"four"), log.put(b"five", hashed=QUARTER)])
    assert landed[0] == landed[1]
