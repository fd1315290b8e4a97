"""Counts what one shard does: its labelled metrics, looked up once."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from pipeline.kernel import system_events
from pipeline.observe import metric_defs as defs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import Counter

    from pipeline.faust_worker.batches import ShardBatch
    from pipeline.kernel.agent import Output
    from pipeline.observe.metrics import Metrics
    from pipeline.publisher import Publisher
    from pipeline.shard import Shard

_US_PER_SECOND = 1_000_000
_US_PER_MS = 1_000
_KIND = slice(2, 4)
"""Where the kind stands in an encoded envelope: docs/formats.md."""
_PARKED = system_events.kind_of_type[system_events.Parked].to_bytes(2, "big")


SHARD_GAUGES = (
    defs.LAG_RECORDS,
    defs.LAG_MS,
    defs.LAST_PROGRESS,
    defs.TIMERS,
    defs.CACHED_ROWS,
    defs.SNAPSHOT_TIME,
)
"""What is shown of a shard for as long as it is owned."""


class MeteredPublisher:
    """A shard's publisher that remembers what the last batch put out, and when."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.outputs: Sequence[Output] = ()
        self.began = self.ended = 0.0

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Publish ``outputs``."""
        self.outputs = outputs
        self.began = perf_counter()
        await self._publisher.publish(outputs)
        self.ended = perf_counter()

    def forget(self) -> None:
        """Turn to the next batch; one without outputs does not come here."""
        self.outputs = ()


class ShardMeter:
    """The metrics of one owned shard."""

    def __init__(self, metrics: Metrics, shard: Shard, shard_id: str, publisher: MeteredPublisher) -> None:
        self._metrics = metrics
        self._shard = shard
        self._publisher = publisher
        self._stage = stage = shard.stage.name
        self._labels = (stage, shard_id)
        self._records = metrics.counter(defs.RECORDS_IN, *self._labels)
        self._parked = metrics.counter(defs.PARKED, *self._labels)
        self._outputs: dict[str, Counter] = {}
        self._batch = metrics.histogram(defs.BATCH_USER_RECORDS, stage)
        self._hop = metrics.histogram(defs.HOP, stage)
        self._step = metrics.histogram(defs.STEP, stage)
        self._publish = metrics.histogram(defs.PUBLISH, stage)
        self._commit = metrics.histogram(defs.COMMIT, stage)
        self._lag_records = metrics.gauge(defs.LAG_RECORDS, *self._labels)
        self._lag_ms = metrics.gauge(defs.LAG_MS, *self._labels)
        self._progress = metrics.gauge(defs.LAST_PROGRESS, *self._labels)
        self._timers = metrics.gauge(defs.TIMERS, *self._labels)
        self._cached_rows = metrics.gauge(defs.CACHED_ROWS, *self._labels)
        metrics.gauge(defs.OWNED_SHARDS, stage).inc()

    def count(self, batch: ShardBatch, now_us: int, started: float, committed: float) -> None:
        """Count a batch that was committed at ``now_us``; it took from ``started`` to ``committed``, in seconds."""
        user_records = 0
        for record in batch.records:
            user_records += len(record.user_records)
            self._hop.observe((now_us - record.arrival_us) / _US_PER_SECOND)
        self._records.inc(user_records)
        self._batch.observe(user_records)
        self._lag_records.set(batch.behind_records)
        self._lag_ms.set(batch.behind_us / _US_PER_MS)
        self._progress.set(now_us / _US_PER_SECOND)
        self._timers.set(self._shard.timers)
        self._cached_rows.set(self._shard.cached_rows)
        published = self._publisher
        if not published.outputs:
            self._step.observe(committed - started)  # and a commit of next to nothing
            return
        self._step.observe(published.began - started)
        self._publish.observe(published.ended - published.began)
        self._commit.observe(committed - published.ended)
        self._count_outputs(published.outputs)

    def forget(self) -> None:
        """Show nothing more of what the shard is: it is not ours any more.  What it did stays counted."""
        for definition in SHARD_GAUGES:
            self._metrics.forget(definition, *self._labels)
        self._metrics.gauge(defs.OWNED_SHARDS, self._stage).dec()

    def _count_outputs(self, outputs: Sequence[Output]) -> None:
        streams: dict[str, int] = {}
        for output in outputs:
            streams[output.stream] = streams.get(output.stream, 0) + 1
            if output.record[_KIND] == _PARKED:
                self._parked.inc()
        for stream, count in streams.items():
            counter = self._outputs.get(stream)
            if counter is None:
                counter = self._outputs[stream] = self._metrics.counter(defs.OUTPUTS, self._stage, stream)
            counter.inc(count)
