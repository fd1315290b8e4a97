"""Keeps the owned shards in snapshots, one at a time, beside the hot path.

A snapshot that fails stops no money: the log and the state are there.  But nobody else could start from here, so it is
told loudly, counted, and tried again soon.  The END snapshot of a shard is different: its children wait for it, so
there a failure is raised.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from pipeline.observe import metric_defs as defs
from pipeline.observe.logging import about
from pipeline.restore import take_snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pipeline.faust_worker.ports import WorkerPorts
    from pipeline.faust_worker.shards import OwnedShard
    from pipeline.observe.metrics import Metrics
    from pipeline.settings import WorkerSettings

_log = logging.getLogger(__name__)
_US_PER_SECOND = 1_000_000


class Snapshotter:
    """Takes snapshots when they are due, and when it is told to."""

    def __init__(self, ports: WorkerPorts, settings: WorkerSettings, metrics: Metrics) -> None:
        self._stores = ports.stores
        self._snapshots = ports.snapshots
        self._clock = ports.clock
        self._scratch = ports.scratch
        self._period_us = round(settings.snapshot_seconds * _US_PER_SECOND)
        self._retry_us = round(settings.snapshot_retry_seconds * _US_PER_SECOND)
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()

    def schedule(self, owned: OwnedShard) -> None:
        """Let the shard's next snapshot be due in a while."""
        owned.snapshot_due_us = self._clock.now_us() + self._period_us

    async def run(self, owned: Callable[[], Sequence[OwnedShard]]) -> None:
        """Take a snapshot of each owned shard whenever it is due."""
        while True:
            if not await self._take_what_is_due(owned()):
                await self._clock.sleep(min(1.0, self._period_us / _US_PER_SECOND))

    async def _take_what_is_due(self, shards: Sequence[OwnedShard]) -> bool:
        due = min(shards, key=lambda shard: shard.snapshot_due_us, default=None)
        if due is None or due.snapshot_due_us > self._clock.now_us():
            return False
        await self.try_to_take(due)
        return True

    async def try_to_take(self, owned: OwnedShard) -> bool:
        """Take a snapshot; say whether that went well, and tell and count if it did not."""
        try:
            await self.take(owned)
        except Exception:  # noqa: BLE001 - whatever it was is told, counted and tried again
            owned.snapshot_due_us = self._clock.now_us() + self._retry_us
            self._metrics.counter(defs.SNAPSHOT_FAILURES, owned.stage.name, owned.shard_id).inc()
            _log.exception(
                "snapshot failed; tried again soon", extra=about(stage=owned.stage.name, shard=owned.shard_id)
            )
            return False
        return True

    async def take(self, owned: OwnedShard) -> None:
        """Publish a snapshot of what the shard has committed.

        Once begun it goes on also if the caller is cancelled: its threads use the store, which must stay open.
        """
        await asyncio.shield(asyncio.ensure_future(self._take(owned)))

    async def _take(self, owned: OwnedShard) -> None:
        async with self.idle():
            if owned.failed:
                return
            started = perf_counter()
            folder = self._scratch / f"snapshot-{owned.stage.name}-{owned.shard_id}"
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            try:
                manifest = await take_snapshot(owned.shard, self._stores, self._snapshots, folder, owned.digests)
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            owned.snapshot_position = manifest.position
            await self._snapshots.retire(owned.stage.name, owned.shard_id)
            self.schedule(owned)
            self._metrics.histogram(defs.SNAPSHOT, owned.stage.name).observe(perf_counter() - started)
            taken_at = self._clock.now_us() / _US_PER_SECOND
            self._metrics.gauge(defs.SNAPSHOT_TIME, owned.stage.name, owned.shard_id).set(taken_at)

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """Hold off snapshots: a shard must not be closed under one."""
        async with self._one_at_a_time:
            yield
