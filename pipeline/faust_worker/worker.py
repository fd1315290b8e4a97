"""The life of a worker, from its start to its orderly end.

    start Faust ──> run: source, ticker, snapshots ──> told to stop ──> last batches acknowledged
                         │                                               ──> snapshot of every shard ──> give up ──> end
                         └── anything raised ──> nothing more is acknowledged ──> end with that error

A worker that fails takes no care to end well: whatever it had in hand is repeated by the next one from the last commit.
A snapshot that fails at the end keeps no other from being taken, but it is an error: who stops a worker counts on them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from pipeline.faust_worker.app import ShardBatchApp
from pipeline.faust_worker.errors import LastSnapshotError, WorkerStoppedError
from pipeline.faust_worker.log_source import LogSource
from pipeline.faust_worker.shards import Shards
from pipeline.faust_worker.snapshotter import Snapshotter
from pipeline.faust_worker.ticker import Ticker
from pipeline.observe.application import NoApplicationMeter
from pipeline.observe.health import Health
from pipeline.observe.logging import about

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipeline.faust_worker.batches import BatchSource
    from pipeline.faust_worker.ports import WorkerPorts
    from pipeline.faust_worker.shards import OwnedShard
    from pipeline.kernel.agent import Stage
    from pipeline.observe.application import MakeApplicationMeter
    from pipeline.observe.metrics import Metrics
    from pipeline.settings import Settings, WorkerSettings

    class MakeSource(Protocol):
        """Makes the source of a worker's batches."""

        def __call__(
            self,
            stages: Sequence[Stage],
            wanted: Collection[str] | None,
            ports: WorkerPorts,
            shards: Shards,
            settings: WorkerSettings,
            /,
        ) -> BatchSource:
            """Return it."""


_log = logging.getLogger(__name__)
_MS_PER_SECOND = 1_000
_US_PER_MS = 1_000
_US_PER_SECOND = 1_000_000


class Worker:
    """Runs stages on the shards of their source streams."""

    def __init__(
        self,
        worker_id: str,
        stages: Sequence[Stage],
        wanted: Collection[str] | None,
        ports: WorkerPorts,
        settings: Settings,
        metrics: Metrics,
        make_application_meter: MakeApplicationMeter = NoApplicationMeter,
        make_source: MakeSource = LogSource,
    ) -> None:
        self._worker_id = worker_id
        self._stages = stages
        self._clock = ports.clock
        self._settings = settings.worker
        self._snapshotter = Snapshotter(ports, settings.worker, metrics)
        cached_rows = settings.state.cached_rows_per_table
        self._shards = Shards(ports, self._snapshotter, metrics, make_application_meter, cached_rows)
        self._source = make_source(stages, wanted, ports, self._shards, settings.worker)
        self._ticker = Ticker(ports.log, ports.clock, worker_id, metrics)
        self._app = ShardBatchApp(worker_id)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End in order: finish the batches in hand, take snapshots, and return from :meth:`run`."""
        self._stopping.set()
        self._source.stop()

    async def run(self) -> None:
        """Work until told to stop, or until no batch can come any more; raise what made going on impossible."""
        self._app.add_stages(self._stages, self._shards.process, self._settings.shards_at_once_max)
        await self._app.start()
        stages = [stage.name for stage in self._stages]
        _log.info("worker started", extra=about(worker=self._worker_id, stages=stages))
        await self._run_parts()
        await self._take_last_snapshots()

    async def close(self) -> None:
        """Let go of everything, however the worker ended."""
        await self._app.stop()
        for owned in self._shards.owned():
            await self._shards.give_up(owned)
        _log.info("worker stopped", extra=about(worker=self._worker_id))

    def owned(self) -> Sequence[OwnedShard]:
        """Return the shards in this worker's hands."""
        return self._shards.owned()

    @property
    def batches_committed(self) -> int:
        """How many batches were committed since the start, of all shards."""
        return self._shards.batches_committed

    def health(self) -> Health:
        """Return what this worker owns and how far it is; not healthy if a shard stands still, ticks and all."""
        now_us = self._clock.now_us()
        shards = [
            {
                "stage": owned.stage.name,
                "shard": owned.shard_id,
                "position": str(owned.shard.position),
                "lag_records": owned.behind_records,
                "lag_ms": owned.behind_us / _US_PER_MS,
                "since_progress_ms": (now_us - owned.progressed_us) / _US_PER_MS,
            }
            for owned in self._shards.owned()
        ]
        stalled_us = self._settings.stalled_seconds_max * _US_PER_SECOND
        stalled = [str(owned) for owned in self._shards.owned() if now_us - owned.progressed_us > stalled_us]
        details = {"worker": self._worker_id, "stopping": self._stopping.is_set(), "stalled": stalled, "shards": shards}
        return Health(not stalled, details)

    async def _take_last_snapshots(self) -> None:
        shards = sorted(self._shards.owned(), key=lambda shard: shard.snapshot_due_us)
        failed = [str(owned) for owned in shards if not await self._snapshotter.try_to_take(owned)]
        if failed:
            raise LastSnapshotError(
                f"the last snapshot failed of {', '.join(failed)}: what is published there is older"
            )

    async def _run_parts(self) -> None:
        failed = self._app.batches.failed
        source = asyncio.ensure_future(self._source.run(self._app.batches.deliver))
        ticker = asyncio.ensure_future(self._ticker.run(self._shards.owned, self._settings.tick_ms / _MS_PER_SECOND))
        snapshotter = asyncio.ensure_future(self._snapshotter.run(self._shards.owned))
        parts = [failed, source, ticker, snapshotter]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in (failed, *done):
                if part.done():
                    part.result()
            if source not in done:
                raise WorkerStoppedError("a part of the worker ended while batches were still to come")
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)
