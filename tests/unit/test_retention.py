"""What is older than the retention goes, and a stage that forgets sooner than its stream is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.streams import PAYMENTS
from agents.topology import AUTHORISE
from pipeline.errors import HorizonError
from pipeline.ports import Entry
from pipeline.restore import Restorer
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs.local import LocalLog
from pipeline.stream_logs.memory import MemoryLog
from tests.virtual_clock import VirtualClock

HOUR_US = 3_600_000_000


def test_a_writer_that_begins_a_segment_removes_what_is_older_than_the_retention(tmp_path: Path) -> None:
    async def write_for_three_hours() -> tuple[int, int]:
        clock = VirtualClock()
        log = LocalLog(tmp_path / "log", clock, segment_bytes=1_000, retention_us=HOUR_US)
        await log.create_stream("payments", 1)
        (shard,) = await log.shards("payments")
        for _ in range(18):
            await log.put_records("payments", [Entry(bytes(16), [bytes(600)])])
            clock.move(HOUR_US // 6)
        horizon = await log.trim_horizon("payments", shard.shard_id)
        kept = await log.read("payments", shard.shard_id, horizon, 1_000)
        log.close()
        return horizon, clock.now_us() - kept.records[0].arrival_us

    horizon, oldest_age_us = asyncio.run(write_for_three_hours())

    assert horizon > 0
    assert HOUR_US <= oldest_age_us < 2 * HOUR_US


@pytest.mark.parametrize("longer_us", [1, HOUR_US])
def test_a_stage_that_forgets_claims_before_the_stream_forgets_records_is_refused(
    tmp_path: Path, longer_us: int
) -> None:
    (remembers_us,) = (behaviour.remembers_us for behaviour in AUTHORISE.behaviours.values())
    assert remembers_us is not None
    log = MemoryLog(VirtualClock(), "log-1", retention_us=remembers_us + longer_us)

    with pytest.raises(HorizonError, match=r"stage authorise.*keeps records for"):
        _restore_first_shard(log, tmp_path)


def test_a_stage_that_remembers_as_long_as_the_stream_starts(tmp_path: Path) -> None:
    (behaviour,) = AUTHORISE.behaviours.values()
    log = MemoryLog(VirtualClock(), "log-1", retention_us=behaviour.remembers_us or 0)

    _restore_first_shard(log, tmp_path)


def _restore_first_shard(log: MemoryLog, scratch: Path) -> None:
    async def restore() -> None:
        await log.create_stream(PAYMENTS, 1)
        (shard,) = await log.shards(PAYMENTS)
        await Restorer(AUTHORISE, log, MemoryStores(), MemorySnapshots(), scratch).restore(shard)

    asyncio.run(restore())
