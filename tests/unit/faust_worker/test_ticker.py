from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pipeline.kernel import system_events
from pipeline.kernel.envelope import decode
from pipeline.kernel.hashrange import HashRange
from pipeline.ports import Entry, Landed, Refused
from pipeline.stream_logs.memory import MemoryLog
from tests.toy_stage import SOURCE, create_streams, read_all
from tests.unit.faust_worker.conftest import WorkerUnderTest, eventually

FIRST = "shardId-000000000000"


def test_every_owned_shard_hears_what_time_it_is(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 2)
        began_us = testbed.clock.now_us()
        async with testbed.running(tick_ms=5):

            async def time_passed() -> bool:
                return all(o.shard.committed.now_us > began_us for o in testbed.owned().values())

            await testbed.until_owned(FIRST, "shardId-000000000001")
            await eventually(time_passed)

        shards = await testbed.log.shards(SOURCE)
        ticked = {HashRange.from_bytes(tick.first, tick.last) for tick in await read_all(testbed.log, SOURCE)}
        assert ticked == {shard.hash_range for shard in shards}

    asyncio.run(scenario())


def test_a_tick_is_an_edge_record_with_an_identity_of_its_own(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running(tick_ms=5):

            async def ticked() -> bool:
                return len(await read_all(testbed.log, SOURCE)) >= 3

            await eventually(ticked)

        ticks = await read_all(testbed.log, SOURCE)
        assert [system_events.type_of_kind[tick.kind] for tick in ticks] == [system_events.Tick] * len(ticks)
        assert {tick.source for tick in ticks} == {b"worker-1"}
        lineages = [tick.lineage for tick in ticks]
        assert lineages == sorted(set(lineages))

    asyncio.run(scenario())


def test_a_tick_that_the_log_refuses_is_counted_and_the_next_one_comes(testbed: WorkerUnderTest) -> None:
    class RefusesTicks(MemoryLog):
        refusals = 0

        async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
            kinds = {decode(entry.user_records[0]).kind for entry in entries}
            if kinds == {1} and self.refusals < 3:
                self.refusals += 1
                return [Refused("the log is busy")]
            return await super().put_records(stream, entries)

    async def scenario() -> None:
        testbed.log = RefusesTicks(testbed.clock, "log-1")
        await create_streams(testbed.log, 1)
        async with testbed.running(tick_ms=5):

            async def ticked() -> bool:
                return len(await read_all(testbed.log, SOURCE)) > 0

            await eventually(ticked)

        assert testbed.sample("pipeline_tick_failures_total", stage="count", shard=FIRST) == 3

    asyncio.run(scenario())
