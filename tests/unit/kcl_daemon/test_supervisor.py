"""One page shows the shards of all daemons, wherever their processes have got to; one that stands still is told."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.errors import StateError
from pipeline.kcl_daemon import child_metrics, shard_status
from pipeline.kcl_daemon.daemon import Daemon
from pipeline.kcl_daemon.shard_status import ShardStatus
from pipeline.kcl_daemon.supervisor import Supervisor, only_one
from pipeline.observe import metric_defs as defs
from pipeline.observe.metrics import Metrics
from pipeline.settings import ObserveSettings, Settings, WorkerSettings
from pipeline.stream_logs.backoff import Backoff
from pipeline.system_clock import SystemClock

PATIENCE_SECONDS = 20.0
HOUR_US = 3_600_000_000
STATUS = ShardStatus(
    pid=os.getpid(),
    stage="count",
    shard="shard-0",
    position="12.3",
    lag_records=4,
    lag_ms=5.0,
    progressed_us=0,
    restarts=0,
)
NO_PROCESS = 1 << 22
"""Above the largest process id that Linux gives."""


def moved(ago_us: int = 0) -> ShardStatus:
    """Return the status of a shard that has made progress so long ago."""
    return replace(STATUS, progressed_us=SystemClock().now_us() - ago_us)


class Page:
    """A supervisor's page."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def get(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._get, path)

    async def health(self) -> tuple[int, dict[str, Any]]:
        status, text = await self.get("/health")
        return status, json.loads(text)

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@asynccontextmanager
async def supervised(folder: Path, command: str = "sleep 600") -> AsyncIterator[Page]:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    settings = Settings(WorkerSettings(stalled_seconds_max=60.0), observe=ObserveSettings(port=port))
    clock = SystemClock()
    daemon = Daemon("count", ("/bin/sh", "-c", f"exec {command}"), clock, Backoff(), 1.0, 1.0)
    supervisor = Supervisor([daemon], folder, clock, settings, Metrics())
    running = asyncio.ensure_future(supervisor.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while daemon.pid is None:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.01)
    try:
        yield Page(port)
    finally:
        supervisor.stop()
        assert await asyncio.wait_for(running, PATIENCE_SECONDS) == 0


def test_health_says_which_shards_are_here_how_far_behind_and_since_when_each_moved(tmp_path: Path) -> None:
    status = moved()
    shard_status.write(tmp_path, status)

    async def scenario() -> None:
        async with supervised(tmp_path) as page:
            code, health = await page.health()
            (shown,) = health["shards"]
            assert (code, health["healthy"]) == (200, True)
            assert (shown["shard"], shown["position"], shown["lag_records"], shown["lag_ms"]) == (
                "shard-0",
                "12.3",
                4,
                5.0,
            )
            assert shown["progressed_us"] == status.progressed_us
            assert shown["since_progress_ms"] >= 0

    asyncio.run(scenario())


@pytest.mark.parametrize("position", ["12.3", None])
def test_a_shard_without_progress_is_shown_and_alarmed_also_one_whose_state_is_never_there(
    tmp_path: Path, position: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    shard_status.write(tmp_path, replace(moved(HOUR_US), position=position))

    async def scenario() -> None:
        async with supervised(tmp_path) as page:
            code, health = await page.health()
            assert (code, health["healthy"], health["stalled"]) == (503, False, ["count/shard-0"])
            assert sample(await page.get("/metrics"), defs.STALLED_SHARDS.name, stage="count") == 1

    asyncio.run(scenario())
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert told[0].message.startswith("no progress for 36")


def test_a_shard_whose_process_is_gone_is_not_here(tmp_path: Path) -> None:
    shard_status.write(tmp_path, replace(moved(HOUR_US), pid=NO_PROCESS))

    async def scenario() -> None:
        async with supervised(tmp_path) as page:
            code, health = await page.health()
            assert (code, health["shards"]) == (200, [])

    asyncio.run(scenario())


def test_prometheus_finds_what_every_process_counts_under_its_shard(tmp_path: Path) -> None:
    other = os.getppid()
    for pid, shard, parked in ((os.getpid(), "shard-0", 3), (other, "shard-1", 4)):
        child = Metrics()
        child.counter(defs.PARKED, "count", shard).inc(parked)
        child.histogram(defs.HOP, "count").observe(0.02)
        shard_status.write(tmp_path, replace(moved(), pid=pid, shard=shard))
        child_metrics.write(tmp_path, pid, child)

    async def scenario() -> None:
        async with supervised(tmp_path) as page:
            code, text = answer = await page.get("/metrics")
            assert code == 200
            for shard, parked in (("shard-0", 3), ("shard-1", 4)):
                labels = {"stage": "count", "shard": shard}
                assert sample(answer, f"{defs.PARKED.name}_total", **labels) == parked
                assert sample(answer, f"{defs.HOP.name}_count", **labels) == 1
                assert sample(answer, "process_resident_memory_bytes", **labels) > 0
            assert sample(answer, "process_resident_memory_bytes") > 0
            types = [line for line in text.splitlines() if line.startswith("# TYPE")]
            assert len(types) == len(set(types))

    asyncio.run(scenario())


@pytest.mark.parametrize(("noted_before", "noted_after", "code"), [(True, False, 0), (False, True, 3)])
def test_a_stop_without_a_last_snapshot_is_not_in_order_and_one_that_failed_before_is_past(
    tmp_path: Path, noted_before: bool, noted_after: bool, code: int
) -> None:
    async def scenario() -> int:
        supervisor = Supervisor([], tmp_path, SystemClock(), Settings(), Metrics())
        if noted_before:
            shard_status.note_unsaved(tmp_path, 1)
        supervisor.stop()
        if noted_after:
            shard_status.note_unsaved(tmp_path, 2)
        return await supervisor.run()

    assert asyncio.run(scenario()) == code


def test_a_data_folder_has_one_supervisor(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(StateError, match="is in use"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def sample(answer: tuple[int, str], name: str, **labels: str) -> float:
    """Return the only sample of this name and exactly these labels."""
    samples = [sample for family in text_string_to_metric_families(answer[1]) for sample in family.samples]
    (found,) = [each.value for each in samples if each.name == name and each.labels == labels]
    return float(found)
