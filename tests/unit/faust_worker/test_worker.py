from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BeyondEndError, LogError, TrimmedRangeError
from pipeline.faust_worker.errors import RefusedFeatureError, ShardFailedError
from pipeline.kernel import system_events
from pipeline.kernel.hashrange import LAST_HASH, hash_key
from pipeline.ports import Entry, Landed, Manifest, Refused
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs.memory import MemoryLog
from tests.toy_stage import DESTINATION, FAIL, NONSENSE, PARKED, SOURCE, create_streams, from_shards, toy_stage
from tests.unit.faust_worker.conftest import WorkerUnderTest, eventually


def hash_of(key: str) -> int:
    return int.from_bytes(hash_key(key), "big")


FIRST, SECOND, THIRD, FOURTH = (f"shardId-{number:012d}" for number in range(4))
MANY = [f"key-{number}" for number in range(40)]


def test_what_is_said_is_counted_and_said_downstream(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 2)
        async with testbed.running():
            for _ in range(3):
                await testbed.say(*((key, "hello") for key in MANY))
            await testbed.until_counted(dict.fromkeys(MANY, 3))

        downstream = await testbed.downstream()
        assert downstream.counts == {key: [1, 2, 3] for key in MANY}
        assert downstream.repeats == 0

    asyncio.run(scenario())


def test_a_restart_goes_on_at_the_exact_position(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 2)
        async with testbed.running():
            await testbed.say(*((key, "one") for key in MANY))
            await testbed.until_counted(dict.fromkeys(MANY, 1))
        await testbed.say(*((key, "two") for key in MANY))
        async with testbed.running():
            await testbed.until_counted(dict.fromkeys(MANY, 2))

        downstream = await testbed.downstream()
        assert downstream.counts == {key: [1, 2] for key in MANY}
        assert downstream.repeats == 0

    asyncio.run(scenario())


def test_a_batch_that_raises_stops_the_worker_and_nothing_of_it_is_committed(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running():
            await testbed.say(("k", "fine"))
            await testbed.until_counted({"k": 1})
        await testbed.say(("k", "fine"), ("k", FAIL), ("k", "fine"))

        with pytest.raises(ShardFailedError, match=r"count/shardId-000000000000 failed behind position \d+\.0: Value"):
            async with testbed.running() as task:
                await asyncio.wait((task,))

        assert (await testbed.downstream()).counts == {"k": [1]}
        async with testbed.running(toy_stage(repaired=True)):
            await testbed.until_counted({"k": 4})
        assert (await testbed.downstream()).counts == {"k": [1, 2, 3, 4]}

    asyncio.run(scenario())


def test_poison_is_parked_and_the_shard_goes_on(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running():
            await testbed.say(("k", "fine"), ("k", NONSENSE), ("k", "fine"))
            await testbed.until_counted({"k": 2})

        (parked,) = await from_shards(testbed.log, PARKED)
        event = system_events.decode(parked.kind, parked.version, parked.body)
        assert isinstance(event, system_events.Parked)
        assert event.reason == "nonsense"
        assert testbed.sample("pipeline_parked_total", stage="count", shard=FIRST) == 1

    asyncio.run(scenario())


def test_a_split_and_a_merge_keep_the_order_of_every_key(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running():
            await testbed.until_owned(FIRST)
            await testbed.say(*((key, "one") for key in MANY))
            await testbed.log.split(SOURCE, FIRST, LAST_HASH // 3)
            await testbed.say(*((key, "two") for key in MANY))
            await testbed.until_owned(SECOND, THIRD)
            await testbed.log.merge(SOURCE, SECOND, THIRD)
            await testbed.say(*((key, "three") for key in MANY))
            await testbed.until_owned(FOURTH)
            await testbed.until_counted(dict.fromkeys(MANY, 3))

        downstream = await testbed.downstream()
        assert downstream.counts == {key: [1, 2, 3] for key in MANY}
        assert downstream.repeats == 0
        ended = [(await testbed.snapshots.manifests("count", shard))[0].ended for shard in (FIRST, SECOND, THIRD)]
        assert ended == [True, True, True]

    asyncio.run(scenario())


def test_a_shard_that_was_given_up_leaves_no_memory_behind(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running(snapshot_seconds=0.01):
            await testbed.until_owned(FIRST)
            await testbed.say(("k", "one"))
            await testbed.until_counted({"k": 1})
            parent = weakref.ref(testbed.owned()[FIRST].shard)
            await testbed.log.split(SOURCE, FIRST, LAST_HASH // 3)
            await testbed.until_owned(SECOND, THIRD)

            async def gone() -> bool:
                return parent() is None

            await eventually(gone)

    asyncio.run(scenario())


def test_a_parent_that_ended_without_its_snapshot_gets_it_after_a_restart(testbed: WorkerUnderTest) -> None:
    class NoRoom(MemorySnapshots):
        async def publish(self, manifest: Manifest, folder: Path) -> None:
            raise OSError("no room for snapshots")

    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        await testbed.say(("k", "one"))
        await testbed.log.split(SOURCE, FIRST, LAST_HASH // 2)
        with pytest.raises(ShardFailedError, match="no room for snapshots"):
            async with testbed.running(ports=testbed.ports(snapshots=NoRoom())) as task:
                await asyncio.wait((task,))
        await testbed.say(("k", "two"))

        async with testbed.running():
            await testbed.until_counted({"k": 2})

        assert (await testbed.downstream()).counts == {"k": [1, 2]}

    asyncio.run(scenario())


def test_a_parent_whose_end_snapshot_is_damaged_is_read_again(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        await testbed.say(("k", "one"))
        await testbed.log.split(SOURCE, FIRST, LAST_HASH // 2)
        await testbed.say(("k", "two"))
        async with testbed.running(wanted=[FIRST]):

            async def over() -> bool:
                return bool(await testbed.snapshots.manifests("count", FIRST))

            await eventually(over)
        for digest in testbed.snapshots.files:
            testbed.snapshots.files[digest] += b"damage"

        async with testbed.running():
            await testbed.until_counted({"k": 2})

        assert (await testbed.downstream()).counts == {"k": [1, 2]}

    asyncio.run(scenario())


def test_only_the_shards_asked_for_are_owned(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 3)
        async with testbed.running(wanted=[SECOND]):
            await testbed.until_owned(SECOND)
            await testbed.say(*((key, "hello") for key in MANY))

            async def read() -> bool:
                return len((await testbed.downstream()).counts) > 0

            await eventually(read)
            assert set(testbed.owned()) == {SECOND}

    asyncio.run(scenario())


def test_a_child_waits_for_a_parent_that_another_worker_reads(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        await testbed.say(("k", "one"))
        await testbed.log.split(SOURCE, FIRST, LAST_HASH // 2)
        await testbed.say(("k", "two"))
        async with testbed.running(wanted=[SECOND, THIRD]):
            await asyncio.sleep(0)
            assert testbed.owned() == {}
        async with testbed.running(wanted=[FIRST]):

            async def over() -> bool:
                return bool(await testbed.snapshots.manifests("count", FIRST))

            await eventually(over)
        async with testbed.running(wanted=[SECOND, THIRD]):
            await testbed.until_counted({"k": 2})

    asyncio.run(scenario())


def test_a_worker_that_stops_leaves_a_snapshot_of_every_shard(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 2)
        async with testbed.running():
            await testbed.until_owned(FIRST, SECOND)
            await testbed.say(*((key, "one") for key in MANY))
            await testbed.until_counted(dict.fromkeys(MANY, 1))
            owned = testbed.owned()

        for shard_id in (FIRST, SECOND):
            (manifest,) = await testbed.snapshots.manifests("count", shard_id)
            assert manifest.position == owned[shard_id].shard.committed.position

    asyncio.run(scenario())


def test_a_position_that_was_trimmed_halts_the_worker_and_names_what_is_missing(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running():
            await testbed.say(("k", "one"))
            await testbed.until_counted({"k": 1})
        await testbed.say(("k", "two"))
        await testbed.log.trim(SOURCE, FIRST, testbed.clock.now_us() + 1)
        await testbed.say(("k", "three"))

        with pytest.raises(TrimmedRangeError, match="were trimmed"):
            async with testbed.running() as task:
                await asyncio.wait((task,))

    asyncio.run(scenario())


def test_a_position_beyond_the_end_of_the_log_halts_the_worker(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running():
            await testbed.say(("k", "one"))
            await testbed.until_counted({"k": 1})
        testbed.log = MemoryLog(testbed.clock, "log-1")  # it has lost everything, and does not know
        await create_streams(testbed.log, 1)

        with pytest.raises(BeyondEndError, match="the log ends at 0"):
            async with testbed.running() as task:
                await asyncio.wait((task,))

    asyncio.run(scenario())


def test_a_stream_that_is_not_there_halts_the_worker(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        with pytest.raises(LogError, match="create it first"):
            async with testbed.running() as task:
                await asyncio.wait((task,))

    asyncio.run(scenario())


def test_a_wanted_shard_that_is_not_there_halts_the_worker(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        with pytest.raises(LogError, match="no shard of said is called nope"):
            async with testbed.running(wanted=[FIRST, "nope"]) as task:
                await asyncio.wait((task,))

    asyncio.run(scenario())


def test_two_stages_on_one_stream_are_refused(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        with pytest.raises(RefusedFeatureError, match="two stages of one worker read said"):
            async with testbed.running(toy_stage(), toy_stage()) as task:
                await asyncio.wait((task,))

    asyncio.run(scenario())


def test_shards_proceed_while_one_waits_for_its_outputs_to_be_stored(testbed: WorkerUnderTest) -> None:
    class StuckForOneKey(MemoryLog):
        stuck = asyncio.Event()
        unstuck = asyncio.Event()

        async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
            if stream == DESTINATION and any(b"stuck\n" in entry.user_records[0] for entry in entries):
                self.stuck.set()
                await self.unstuck.wait()
            return await super().put_records(stream, entries)

    async def scenario() -> None:
        log = testbed.log = StuckForOneKey(testbed.clock, "log-1")
        await create_streams(log, 2)
        (half, _) = [shard.hash_range for shard in await log.shards(SOURCE)]
        others = [key for key in MANY if (hash_of(key) in half) != (hash_of("stuck") in half)]
        async with testbed.running():
            await testbed.say(("stuck", "one"))
            await log.stuck.wait()
            await testbed.say(*((key, "one") for key in others))
            await testbed.until_counted(dict.fromkeys(others, 1))
            assert "stuck" not in (await testbed.downstream()).counts
            log.unstuck.set()
            await testbed.until_counted({"stuck": 1})

    asyncio.run(scenario())


def test_outputs_that_the_log_refuses_are_put_again_and_counted(testbed: WorkerUnderTest) -> None:
    class FullForAWhile(MemoryLog):
        refusals = 0

        async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
            if stream == DESTINATION and self.refusals < 3:
                self.refusals += 1
                return [Refused("the disk is full")] * len(entries)
            return await super().put_records(stream, entries)

    async def scenario() -> None:
        testbed.log = FullForAWhile(testbed.clock, "log-1")
        await create_streams(testbed.log, 1)
        async with testbed.running():
            await testbed.say(("k", "one"))
            await testbed.until_counted({"k": 1})
        assert testbed.sample("pipeline_refused_entries_total", stage="count", shard=FIRST) == 3

    asyncio.run(scenario())


def test_a_shard_has_one_batch_in_flight(testbed: WorkerUnderTest) -> None:
    class WatchedLog(MemoryLog):
        in_flight = 0
        most = 0

        async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
            if stream != DESTINATION:
                return await super().put_records(stream, entries)
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            for _ in range(5):
                await asyncio.sleep(0)
            self.in_flight -= 1
            return await super().put_records(stream, entries)

    async def scenario() -> None:
        log = testbed.log = WatchedLog(testbed.clock, "log-1")
        await create_streams(log, 1)
        async with testbed.running(batch_user_records_max=2):
            for _ in range(20):
                await testbed.say(*((key, "hello") for key in MANY[:5]))
            await testbed.until_counted(dict.fromkeys(MANY[:5], 20))
        assert log.most == 1

    asyncio.run(scenario())


def test_memory_is_bounded_by_a_batch_of_whole_records_per_shard(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        for _ in range(50):
            await testbed.say(("k", "hello"))
        async with testbed.running(batch_user_records_max=10):
            await testbed.until_counted({"k": 50})
        assert (testbed.sample("pipeline_batch_user_records_count", stage="count") or 0) >= 5
        largest = testbed.sample("pipeline_batch_user_records_bucket", stage="count", le="10.0")
        assert largest == testbed.sample("pipeline_batch_user_records_count", stage="count")

    asyncio.run(scenario())


def test_batches_of_a_shard_keep_their_distance(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        for _ in range(6):
            await testbed.say(("k", "hello"))
        began_us = testbed.clock.now_us()
        async with testbed.running(batch_user_records_max=1, batch_interval_ms_min=20, tick_ms=60_000):
            await testbed.until_counted({"k": 6})
        assert testbed.clock.now_us() - began_us >= 5 * 20_000

    asyncio.run(scenario())


def test_health_tells_where_every_shard_is(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 2)
        async with testbed.running():
            await testbed.until_owned(FIRST, SECOND)
            healthy, details = testbed.worker.health()

        assert healthy
        shards: Any = details["shards"]
        assert [shard["shard"] for shard in shards] == [FIRST, SECOND]
        assert all(shard["lag_records"] >= 0 and shard["since_progress_ms"] >= 0 for shard in shards)

    asyncio.run(scenario())


def test_a_shard_without_progress_is_not_healthy(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running(tick_ms=3_600_000, stalled_seconds_max=0.01):
            await testbed.until_owned(FIRST)

            async def stalled() -> bool:
                return testbed.worker.health().details["stalled"] == [f"count/{FIRST}"]

            await eventually(stalled)
            assert not testbed.worker.health().healthy

    asyncio.run(scenario())
