"""Counts what one shard does: its labelled metrics, looked up once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.kernel import system_events
from pipeline.observe import metric_defs as defs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import Counter

    from pipeline.faust_worker.batches import ShardBatch
    from pipeline.kernel.agent import Output
    from pipeline.observe.metrics import Metrics
    from pipeline.shard import Shard

_US_PER_SECOND = 1_000_000
_US_PER_MS = 1_000
_KIND = slice(2, 4)  # of an encoded envelope: docs/formats.md
_PARKED_KIND = system_events.kind_of_type[system_events.Parked]


class ShardMeter:
    """The metrics of one owned shard."""

    def __init__(self, metrics: Metrics, shard: Shard, shard_id: str) -> None:
        self._metrics = metrics
        self._shard = shard
        self._stage = stage = shard.stage.name
        self._labels = (stage, shard_id)
        self._records = metrics.counter(defs.RECORDS_IN, *self._labels)
        self._parked = metrics.counter(defs.PARKED, *self._labels)
        self._batch = metrics.histogram(defs.BATCH_USER_RECORDS, stage)
        self._hop = metrics.histogram(defs.HOP, stage)
        self._decision = metrics.histogram(defs.DECISION, stage)
        self._step = metrics.histogram(defs.STEP, stage)
        self._publish = metrics.histogram(defs.PUBLISH, stage)
        self._commit = metrics.histogram(defs.COMMIT, stage)
        self._lag_records = metrics.gauge(defs.LAG_RECORDS, *self._labels)
        self._lag_ms = metrics.gauge(defs.LAG_MS, *self._labels)
        self._progress = metrics.gauge(defs.LAST_PROGRESS, *self._labels)
        self._timers = metrics.gauge(defs.TIMERS, *self._labels)
        self._outputs: dict[str, Counter] = {}
        self._outcomes = {
            kind.to_bytes(2, "big"): metrics.counter(defs.OUTCOMES, stage, outcome)
            for kind, outcome in metrics.application.outcome_of_kind.items()
        }
        self._parked_kind = _PARKED_KIND.to_bytes(2, "big")
        metrics.gauge(defs.OWNED_SHARDS, stage).inc()

    def count(
        self, batch: ShardBatch, outputs: Sequence[Output], now_us: int, seconds: tuple[float, float, float]
    ) -> None:
        """Count a batch that was committed at ``now_us``; ``seconds`` are those of step, publish and commit."""
        user_records = 0
        for record in batch.records:
            user_records += len(record.user_records)
            self._hop.observe((now_us - record.arrival_us) / _US_PER_SECOND)
        self._records.inc(user_records)
        self._batch.observe(user_records)
        self._step.observe(seconds[0])
        self._publish.observe(seconds[1])
        self._commit.observe(seconds[2])
        self._lag_records.set(batch.behind_records)
        self._lag_ms.set(batch.behind_us / _US_PER_MS)
        self._progress.set(now_us / _US_PER_SECOND)
        self._timers.set(self._shard.timers)
        if outputs:
            self._count_outputs(outputs, now_us)

    def forget(self) -> None:
        """Show nothing more of what the shard is: it is not ours any more.  What it did stays counted."""
        for definition in (defs.LAG_RECORDS, defs.LAG_MS, defs.LAST_PROGRESS, defs.TIMERS):
            self._metrics.forget(definition, *self._labels)
        self._metrics.gauge(defs.OWNED_SHARDS, self._stage).dec()

    def _count_outputs(self, outputs: Sequence[Output], now_us: int) -> None:
        streams: dict[str, int] = {}
        latency_us_of = self._metrics.application.decision_latency_us
        for output in outputs:
            kind = output.record[_KIND]
            streams[output.stream] = streams.get(output.stream, 0) + 1
            outcome = self._outcomes.get(kind)
            if outcome is not None:
                outcome.inc()
            elif kind == self._parked_kind:
                self._parked.inc()
            latency_us = latency_us_of(output, now_us)
            if latency_us is not None:
                self._decision.observe(latency_us / _US_PER_SECOND)
        for stream, count in streams.items():
            counter = self._outputs.get(stream)
            if counter is None:
                counter = self._outputs[stream] = self._metrics.counter(defs.OUTPUTS, self._stage, stream)
            counter.inc(count)
