"""Two workers share the shards of one application: they balance, take over from each other, and may overlap."""

from __future__ import annotations

import asyncio

import pytest

from tests.emulator.kcl_under_test import FIRST, SECOND, KclUnderTest, WorkerProcess, suspended

pytestmark = [pytest.mark.emulator, pytest.mark.kcl, pytest.mark.slow]


def test_a_second_worker_gets_its_share_and_takes_everything_over_when_the_first_dies(kcl: KclUnderTest) -> None:
    asyncio.run(_taken_over(kcl))


async def _taken_over(kcl: KclUnderTest) -> None:
    with kcl.worker("a") as first:
        await first.owns(FIRST, SECOND)
        with kcl.worker("b") as second:
            async with kcl.load():
                await _balanced(first, second)
                first.kill()
                await second.owns(FIRST, SECOND)
            await kcl.counted(30)
            assert await second.stop() == 0
    assert await kcl.replayed_equal() == 2


def test_a_worker_that_was_suspended_past_its_leases_repeats_at_most_what_another_said(kcl: KclUnderTest) -> None:
    asyncio.run(_suspended(kcl))


async def _suspended(kcl: KclUnderTest) -> None:
    with kcl.worker("a") as first:
        await first.owns(FIRST, SECOND)
        with kcl.worker("b") as second:
            async with kcl.load():
                await _balanced(first, second)
                with suspended(first.process.pid):
                    await second.owns(FIRST, SECOND)
                await kcl.say(400, keys=20, in_a_record=2)
                await _balanced(first, second)
            await kcl.counted(30)
            assert await second.stop() == 0
            assert await first.stop() == 0
    assert await kcl.replayed_equal() == 2


async def _balanced(first: WorkerProcess, second: WorkerProcess) -> None:
    """Wait until each has one of the two shards, and its state."""

    def each_has_one() -> bool:
        owned = [[shard["shard"] for shard in worker.shards() if shard["position"]] for worker in (first, second)]
        return [len(shards) for shards in owned] == [1, 1] and owned[0] != owned[1]

    await first.until(each_has_one, "shares the shards")
