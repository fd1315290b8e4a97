"""What KCL runs is exact, whatever ends when: real daemons and real children on kinesis-local."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from pipeline.kcl_daemon.supervisor import COULD_NOT_GO_ON
from tests.emulator.kcl_under_test import FIRST, SECOND, KclUnderTest
from tests.toy_stage import DESTINATION, SOURCE

pytestmark = [pytest.mark.emulator, pytest.mark.kcl, pytest.mark.slow]


def test_every_record_counts_once_and_a_worker_stopped_in_order_goes_on_where_it_was(kcl: KclUnderTest) -> None:
    asyncio.run(_stopped_in_order(kcl))


async def _stopped_in_order(kcl: KclUnderTest) -> None:
    await kcl.say(2_000, keys=20, in_a_record=10)
    with kcl.worker() as worker:
        await worker.owns(FIRST, SECOND)
        await kcl.say(2_000, keys=20, in_a_record=5)
        assert await kcl.counted(30) == 0
        assert worker.health()["healthy"]
        assert await worker.stop() == 0
    assert await kcl.replayed_equal() == 2
    await kcl.say(500, keys=20, in_a_record=1)
    with kcl.worker("another") as worker:
        await worker.owns(FIRST, SECOND)
        assert await kcl.counted(30) == 0
        with kcl.without_snapshots():
            assert await worker.stop() == COULD_NOT_GO_ON
    assert await kcl.replayed_equal() == 2


def test_nothing_is_lost_or_counted_twice_when_a_child_the_daemon_or_their_supervisor_is_killed(
    kcl: KclUnderTest,
) -> None:
    asyncio.run(_killed(kcl))


async def _killed(kcl: KclUnderTest) -> None:
    with kcl.worker() as worker:
        shards = await worker.owns(FIRST, SECOND)
        async with kcl.load():
            os.kill(shards[0]["pid"], signal.SIGKILL)
            await worker.restarted(1)
            await worker.owns(FIRST, SECOND)
            os.kill(worker.health()["daemons"][0]["pid"], signal.SIGKILL)
            await worker.restarted(2)
            await worker.owns(FIRST, SECOND)
        await kcl.counted(30)
        await worker.kill_supervisor()
    assert await kcl.replayed_equal() == 2


def test_splits_and_merges_of_what_is_read_and_written_under_load_lose_nothing(kcl: KclUnderTest) -> None:
    asyncio.run(_resharded(kcl))


async def _resharded(kcl: KclUnderTest) -> None:
    with kcl.worker() as worker:
        await worker.owns(FIRST, SECOND)
        async with kcl.load():
            await kcl.written_to(DESTINATION, FIRST, SECOND)
            await kcl.log.split(SOURCE, FIRST, 1 << 126)
            await kcl.log.split(DESTINATION, FIRST, 1 << 126)
            await worker.owns(SECOND, "shardId-000000000002", "shardId-000000000003")
            await kcl.written_to(DESTINATION, "shardId-000000000002", "shardId-000000000003")
            await kcl.log.merge(SOURCE, "shardId-000000000003", SECOND)
            await kcl.log.merge(DESTINATION, "shardId-000000000003", SECOND)
            await worker.owns("shardId-000000000002", "shardId-000000000004")
            await kcl.written_to(DESTINATION, "shardId-000000000004")
        await kcl.counted(30)
        assert await worker.stop() == 0
    assert await kcl.replayed_equal() == 5
