"""A worker of toy stages in the test's own process, on a log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.faust_worker.ports import WorkerPorts
from pipeline.faust_worker.shards import OwnedShard
from pipeline.faust_worker.worker import Worker
from pipeline.kernel.agent import Stage
from pipeline.observe.metrics import Metrics
from pipeline.settings import Settings, WorkerSettings
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs.memory import MemoryLog
from pipeline.system_clock import SystemClock
from tests.toy_stage import Downstream, read_downstream, say, toy_stage

PATIENCE_SECONDS = 20.0


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return when ``holds`` does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - a condition of the log or the state, which wakes nobody
            await asyncio.sleep(0.002)


class WorkerUnderTest:
    """One worker after another on the same log, state and snapshots."""

    def __init__(self, scratch: Path) -> None:
        self.clock = SystemClock()
        self.log = MemoryLog(self.clock, "log-1")
        self.stores = MemoryStores()
        self.snapshots = MemorySnapshots()
        self.metrics = Metrics()
        self.worker: Worker
        self._scratch = scratch

    def ports(self, **others: Any) -> WorkerPorts:
        ports = {"log": self.log, "stores": self.stores, "snapshots": self.snapshots, **others}
        return WorkerPorts(**ports, clock=self.clock, scratch=self._scratch)

    @asynccontextmanager
    async def running(
        self,
        *stages: Stage,
        wanted: Sequence[str] | None = None,
        ports: WorkerPorts | None = None,
        **settings: float,
    ) -> AsyncIterator[asyncio.Task[None]]:
        """Run a worker; at the end it is stopped in order, and what it raised is raised."""
        chosen = Settings(WorkerSettings(**{"discover_seconds": 0.02, "tick_ms": 20, **settings}))  # type: ignore[arg-type]
        self.worker = Worker("worker-1", stages or (toy_stage(),), wanted, ports or self.ports(), chosen, self.metrics)
        task = asyncio.ensure_future(self.worker.run())
        try:
            yield task
            self.worker.stop()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await task
        finally:
            task.cancel()
            await asyncio.wait((task,))
            await self.worker.close()

    async def say(self, *what: tuple[str, str]) -> None:
        await say(self.log, self.clock.now_us(), *what)

    async def downstream(self) -> Downstream:
        return await read_downstream(self.log)

    async def until_counted(self, counts: dict[str, int]) -> None:
        """Return when the last count of each key is downstream."""

        async def counted() -> bool:
            found = (await self.downstream()).counts
            return all(found.get(key, [])[-1:] == [count] for key, count in counts.items())

        await eventually(counted)

    def owned(self) -> dict[str, OwnedShard]:
        return {owned.shard_id: owned for owned in self.worker.owned()}

    async def until_owned(self, *shard_ids: str) -> None:
        """Return when exactly these shards are owned."""

        async def all_owned() -> bool:
            return set(self.owned()) == set(shard_ids)

        await eventually(all_owned)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def testbed(tmp_path: Path) -> WorkerUnderTest:
    return WorkerUnderTest(tmp_path)
