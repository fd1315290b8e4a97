from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from pipeline.errors import SnapshotError
from pipeline.observe.logging import JsonLines
from pipeline.ports import Manifest
from pipeline.state.snapshots import MemorySnapshots
from tests.toy_stage import create_streams
from tests.unit.faust_worker.conftest import WorkerUnderTest, eventually

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"


class FailingSnapshots(MemorySnapshots):
    """Has no room for the first few snapshots."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("no room for snapshots")
        await super().publish(manifest, folder)


def test_a_shard_is_kept_in_snapshots_again_and_again_and_old_ones_go(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running(snapshot_seconds=0.01, tick_ms=5):

            async def often() -> bool:
                return (testbed.sample("pipeline_snapshot_seconds_count", stage="count") or 0) >= 6

            await eventually(often)

        manifests = await testbed.snapshots.manifests("count", FIRST)
        assert len(manifests) == 3
        assert len({manifest.position for manifest in manifests}) == 3

    asyncio.run(scenario())


def test_a_snapshot_that_fails_is_told_counted_and_tried_again_while_money_moves(
    testbed: WorkerUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        snapshots = FailingSnapshots(2)
        ports = testbed.ports(snapshots=snapshots)
        async with testbed.running(ports=ports, snapshot_seconds=0.01, snapshot_retry_seconds=0.01, tick_ms=5):
            await testbed.say(("k", "one"))
            await testbed.until_counted({"k": 1})

            async def taken() -> bool:
                return len(await snapshots.manifests("count", FIRST)) > 0

            await eventually(taken)
            await testbed.say(("k", "two"))
            await testbed.until_counted({"k": 2})

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert testbed.sample("pipeline_snapshot_failures_total", stage="count", shard=FIRST) == 2
    failed = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert [(line["level"], line["shard"]) for line in failed] == [("error", FIRST), ("error", FIRST)]
    assert "no room for snapshots" in failed[0]["traceback"]


def test_a_worker_whose_last_snapshot_fails_says_so_at_its_end_and_loses_nothing(testbed: WorkerUnderTest) -> None:
    class NoRoomForTheFirst(MemorySnapshots):
        async def publish(self, manifest: Manifest, folder: Path) -> None:
            if manifest.shard_id == FIRST:
                raise OSError("no room for snapshots")
            await super().publish(manifest, folder)

    snapshots = NoRoomForTheFirst()

    async def without_room() -> None:
        await create_streams(testbed.log, 2)
        async with testbed.running(ports=testbed.ports(snapshots=snapshots)):
            await testbed.say(("k", "one"))
            await testbed.until_counted({"k": 1})
            await testbed.until_owned(FIRST, SECOND)

    async def with_room() -> None:
        async with testbed.running():
            await testbed.say(("k", "two"))
            await testbed.until_counted({"k": 2})

    with pytest.raises(SnapshotError, match=rf"the last snapshot failed of count/{FIRST}:"):
        asyncio.run(without_room())
    assert asyncio.run(snapshots.manifests("count", SECOND))
    asyncio.run(with_room())
