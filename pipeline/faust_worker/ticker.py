"""Tells every owned shard what time it is: time passes also where nothing else happens, and deadlines with it.

A tick is a record like any other, put into the log by the worker that owns the shard, so that replay hears the same
time at the same place.  It is addressed to the shard's whole range; one that lands behind a split is for the child that
it lands on.  Two owners tick twice, and that does no harm: time only moves forward.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pipeline.kernel import system_events
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.observe import metric_defs as defs
from pipeline.observe.logging import about
from pipeline.ports import Entry, Landed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.faust_worker.shards import OwnedShard
    from pipeline.observe.metrics import Metrics
    from pipeline.ports import Clock, Log

_log = logging.getLogger(__name__)
_KIND, _VERSION, _BODY = system_events.encode(system_events.Tick())


class Ticker:
    """Puts a tick into each owned shard, again and again."""

    def __init__(self, log: Log, clock: Clock, producer: str, metrics: Metrics) -> None:
        self._log = log
        self._clock = clock
        self._producer = producer.encode()
        self._epoch = clock.now_us()
        self._counter = 0
        self._metrics = metrics

    async def run(self, owned: Callable[[], Sequence[OwnedShard]], tick_seconds: float) -> None:
        """Tick until cancelled."""
        while True:
            await self.tick(owned())
            await self._clock.sleep(tick_seconds)

    async def tick(self, shards: Sequence[OwnedShard]) -> None:
        """Put one tick into each of ``shards``."""
        by_stream: dict[str, list[OwnedShard]] = {}
        for shard in shards:
            by_stream.setdefault(shard.stage.source_stream, []).append(shard)
        for stream, ticked in by_stream.items():
            entries = [self._entry(shard) for shard in ticked]
            results = await self._log.put_records(stream, entries)
            for shard, result in zip(ticked, results, strict=True):
                if not isinstance(result, Landed):
                    self._tell(shard, result.reason)

    def _entry(self, shard: OwnedShard) -> Entry:
        owned = shard.description.hash_range
        first, last = owned.first_bytes, owned.last_bytes
        self._counter += 1
        lineage = edge_lineage(self._epoch, self._counter)
        now_us = self._clock.now_us()
        tick = Envelope(FROM_EDGE, _KIND, _VERSION, now_us, first, last, lineage, self._producer, _BODY)
        return Entry(first, [encode(tick)])

    def _tell(self, shard: OwnedShard, reason: str) -> None:
        self._metrics.counter(defs.TICK_FAILURES, shard.stage.name, shard.shard_id).inc()
        _log.warning("tick refused: %s", reason, extra=about(stage=shard.stage.name, shard=shard.shard_id))
