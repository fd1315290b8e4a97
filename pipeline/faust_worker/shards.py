"""The shards that this worker owns: restored, moved on batch by batch, kept in snapshots, given up.

This is where the commit protocol meets the process.  Whatever raises in here while a batch is in hand has left the
shard's memory ahead of its state: the shard is marked failed, is never used again, and the worker stops.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from pipeline.errors import SnapshotError
from pipeline.faust_worker.errors import ShardFailedError
from pipeline.faust_worker.shard_meter import MeteredPublisher, ShardMeter
from pipeline.observe import metric_defs as defs
from pipeline.observe.logging import about
from pipeline.publisher import Publisher
from pipeline.restore import Restorer
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests

if TYPE_CHECKING:
    from pipeline.faust_worker.batches import ShardBatch
    from pipeline.faust_worker.ports import WorkerPorts
    from pipeline.faust_worker.snapshotter import Snapshotter
    from pipeline.kernel.agent import Stage
    from pipeline.observe.application import ApplicationMeter, MakeApplicationMeter
    from pipeline.observe.metrics import Metrics
    from pipeline.ports import ShardDescription

_log = logging.getLogger(__name__)


class OwnedShard:
    """A shard of a stage in this worker's hands."""

    __slots__ = (
        "application_meter",
        "behind_records",
        "behind_us",
        "description",
        "digests",
        "failed",
        "meter",
        "progressed_us",
        "publisher",
        "shard",
        "snapshot_due_us",
        "snapshot_position",
        "stage",
    )

    def __init__(
        self,
        description: ShardDescription,
        shard: Shard,
        publisher: MeteredPublisher,
        meter: ShardMeter,
        application_meter: ApplicationMeter,
    ) -> None:
        self.stage = shard.stage
        self.description = description
        self.shard = shard
        self.publisher = publisher
        self.meter = meter
        self.application_meter = application_meter
        self.progressed_us = 0
        """When the last batch was committed, or the shard taken over."""
        self.behind_records = 0
        """User records in the log behind the last batch, and how much younger the newest is."""
        self.behind_us = 0
        self.snapshot_due_us = 0
        self.snapshot_position: bytes | None = None
        """Packed, of the last snapshot that this worker published; None before."""
        self.digests = FileDigests()
        """Of the files of its last snapshot."""
        self.failed = False

    @property
    def shard_id(self) -> str:
        """The shard's name in its stream."""
        return self.description.shard_id

    def __str__(self) -> str:
        return f"{self.stage.name}/{self.shard_id}"


class Shards:
    """All shards of a worker."""

    def __init__(
        self,
        ports: WorkerPorts,
        snapshotter: Snapshotter,
        metrics: Metrics,
        make_application_meter: MakeApplicationMeter,
        cached_rows_per_table: int,
    ) -> None:
        self._ports = ports
        self._snapshotter = snapshotter
        self._metrics = metrics
        self._make_application_meter = make_application_meter
        self._cached_rows = cached_rows_per_table
        self._owned: dict[tuple[str, str], OwnedShard] = {}
        self.batches_committed = 0

    def owned(self) -> list[OwnedShard]:
        """Return the shards owned now, by stage and name."""
        return sorted(self._owned.values(), key=str)

    async def is_over(self, stage: Stage, shard_id: str) -> bool:
        """Say whether the shard was read to its end and its END snapshot is there: its children may start."""
        return any(manifest.ended for manifest in await self._ports.snapshots.manifests(stage.name, shard_id))

    async def take_over(self, stage: Stage, description: ShardDescription) -> OwnedShard:
        """Restore a shard and own it; raise ``ParentsNotEndedError`` while it must wait for its parents."""
        owned = await asyncio.to_thread(self._restore, stage, description)
        owned.progressed_us = self._ports.clock.now_us()
        self._snapshotter.schedule(owned)
        self._owned[stage.name, description.shard_id] = owned
        return owned

    async def process(self, batch: ShardBatch) -> None:
        """Take a batch in: step, publish, commit; and behind a shard's last record, its end and its END snapshot."""
        owned = batch.owned
        try:
            if batch.records:
                await self._take_in(owned, batch)
            if batch.ended:
                await owned.shard.finish()
                await self._snapshotter.take(owned)
            self.batches_committed += 1
        except Exception as error:
            owned.failed = True
            raise ShardFailedError(owned.stage.name, owned.shard_id, owned.shard.position, error) from error

    async def snapshot(self, owned: OwnedShard) -> bool:
        """Take a snapshot now; say whether that went well, and tell and count if it did not."""
        return await self._snapshotter.try_to_take(owned)

    async def verify_end(self, owned: OwnedShard) -> None:
        """Raise ``SnapshotError`` unless the END snapshot of a shard can be fetched, digests and all.

        One that is damaged is set aside, so that another can be made in its place.
        """
        ports = self._ports
        stage, shard_id = owned.stage.name, owned.shard_id
        ends = [manifest for manifest in await ports.snapshots.manifests(stage, shard_id) if manifest.ended]
        if not ends:
            raise SnapshotError(f"{owned}: the END snapshot was published, but nobody can find it")
        folder = ports.scratch / f"end-{stage}-{shard_id}"
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        try:
            await ports.snapshots.fetch(ends[0], folder)
        except SnapshotError:
            await ports.snapshots.set_aside(ends[0])
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def give_up(self, owned: OwnedShard) -> None:
        """Own the shard no more; its state stays as it was committed."""
        async with self._snapshotter.idle():
            if self._owned.pop((owned.stage.name, owned.shard_id), None) is not None:
                owned.shard.store.close()
                owned.meter.forget()
                owned.application_meter.forget()

    def _restore(self, stage: Stage, description: ShardDescription) -> OwnedShard:
        """Restore a shard in a thread: gigabytes may have to be copied, and the others go on meanwhile."""
        ports, metrics, shard_id = self._ports, self._metrics, description.shard_id
        restorer = Restorer(stage, ports.log, ports.stores, ports.snapshots, ports.scratch)
        store = asyncio.run(restorer.restore(description))
        tell_refused = partial(self._tell_refused, stage.name, shard_id)
        publisher = MeteredPublisher(Publisher(ports.log, ports.clock, tell_refused, asyncio.gather))
        shard = Shard(stage, store, publisher, self._cached_rows)
        meter = ShardMeter(metrics, shard, shard_id, publisher)
        return OwnedShard(description, shard, publisher, meter, self._make_application_meter(metrics, shard, shard_id))

    def _tell_refused(self, stage: str, shard_id: str, stream: str, reason: str) -> None:
        self._metrics.counter(defs.REFUSED, stage, shard_id).inc()
        _log.warning(
            "the log did not take an output, it is put again: %s",
            reason,
            extra=about(stage=stage, shard=shard_id, destination=stream),
        )

    async def _take_in(self, owned: OwnedShard, batch: ShardBatch) -> None:
        owned.publisher.forget()
        started = perf_counter()
        await owned.shard.process(batch.records)
        committed = perf_counter()
        owned.progressed_us = now_us = self._ports.clock.now_us()
        owned.behind_records, owned.behind_us = batch.behind_records, batch.behind_us
        owned.meter.count(batch, now_us, started, committed)
        owned.application_meter.count(batch.records, owned.publisher.outputs, now_us)
