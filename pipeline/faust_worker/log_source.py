"""Batches straight from a log: this process reads every shard of its stages, or those it was told.

A shard is followed from where its state says to where it ends.  A child starts when each of its parents is over: read
to its end, its end published, its END snapshot there.  New shards are looked for every second, and whenever one ended.

    look for shards ──> parents over? ──> take over ──> read, deliver, read, deliver … ended ──> give up
                             │ no
                             └── look again

A shard is read when its last batch was acknowledged, not before: what arrived meanwhile is one batch, so the more a
shard has to do the larger its batches are, and no more than one batch of a shard is ever in memory.  (A log across a
network may read ahead by itself.)
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pipeline.errors import LogError
from pipeline.faust_worker import interpreter
from pipeline.faust_worker.batches import ShardBatch
from pipeline.observe.logging import about
from pipeline.restore import ParentsNotEndedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipeline.faust_worker.batches import Deliver
    from pipeline.faust_worker.ports import WorkerPorts
    from pipeline.faust_worker.shards import OwnedShard, Shards
    from pipeline.kernel.agent import Stage
    from pipeline.ports import ShardDescription
    from pipeline.settings import WorkerSettings

_log = logging.getLogger(__name__)
_MS_PER_SECOND = 1_000
_US_PER_MS = 1_000


class LogSource:
    """A ``BatchSource`` that reads a ``Log``."""

    def __init__(
        self,
        stages: Sequence[Stage],
        wanted: Collection[str] | None,
        ports: WorkerPorts,
        shards: Shards,
        settings: WorkerSettings,
    ) -> None:
        self._stages = stages
        self._wanted = wanted
        self._log = ports.log
        self._clock = ports.clock
        self._shards = shards
        self._settings = settings
        self._stopping = asyncio.Event()
        self._shard_ended = asyncio.Event()
        self._followed: set[tuple[str, str]] = set()
        self._over: set[tuple[str, str]] = set()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._stopping.set()
        self._shard_ended.set()

    async def run(self, deliver: Deliver) -> None:
        """Deliver the batches of all shards until stopped; return when the last one was acknowledged."""
        await self._check_wanted()
        try:
            async with asyncio.TaskGroup() as followers:
                await self._follow_all(followers, deliver)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _check_wanted(self) -> None:
        """Raise ``LogError`` for a wanted shard that is not there: nobody would notice that it is never read."""
        streams = {stage.source_stream for stage in self._stages}
        there = {shard.shard_id for stream in streams for shard in await self._log.shards(stream)}
        missing = sorted(set(self._wanted or ()) - there)
        if missing:
            raise LogError(f"no shard of {', '.join(sorted(streams))} is called {' or '.join(missing)}")

    async def _follow_all(self, followers: asyncio.TaskGroup, deliver: Deliver) -> None:
        while not self._stopping.is_set():
            self._shard_ended.clear()
            for stage in self._stages:
                for shard in await self._ready(stage):
                    self._followed.add((stage.name, shard.shard_id))
                    followers.create_task(self._follow(stage, shard, deliver))
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        try:
            await asyncio.wait_for(self._shard_ended.wait(), self._settings.discover_seconds)
        except TimeoutError:
            return

    async def _ready(self, stage: Stage) -> list[ShardDescription]:
        """Return the shards that are not followed yet and whose parents are over, unless they are over themselves."""
        shards = {shard.shard_id: shard for shard in await self._log.shards(stage.source_stream)}
        ready = []
        for shard in shards.values():
            if self._wanted is not None and shard.shard_id not in self._wanted:
                continue
            if (stage.name, shard.shard_id) in self._followed or await self._is_over(stage, shard):
                continue
            parents = [shards[parent] for parent in shard.parents if parent in shards]
            if all([await self._is_over(stage, parent) for parent in parents]):
                ready.append(shard)
        return ready

    async def _is_over(self, stage: Stage, shard: ShardDescription) -> bool:
        """Say whether a shard was read to its end; only a closed one can have been."""
        key = stage.name, shard.shard_id
        if key not in self._over and shard.closed and await self._shards.is_over(stage, shard.shard_id):
            self._over.add(key)
        return key in self._over

    async def _follow(self, stage: Stage, shard: ShardDescription, deliver: Deliver) -> None:
        """Read one shard to its end, or until stopped."""
        fields = about(stage=stage.name, shard=shard.shard_id)
        try:
            owned = await self._shards.take_over(stage, shard)
        except ParentsNotEndedError as error:
            _log.info("%s", error, extra=fields)
            self._followed.discard((stage.name, shard.shard_id))
            self._over.difference_update((stage.name, parent) for parent in shard.parents)
            return
        _log.info("shard taken over at %s", owned.shard.position, extra=fields)
        if await self._read(owned, deliver):
            await self._shards.give_up(owned)
            del owned
            interpreter.forget_shard()
            self._followed.discard((stage.name, shard.shard_id))
            _log.info("shard read to its end", extra=fields)
            self._shard_ended.set()

    async def _read(self, owned: OwnedShard, deliver: Deliver) -> bool:
        """Deliver batch after batch; say whether the shard ended."""
        settings, clock = self._settings, self._clock
        stream, shard_id = owned.stage.source_stream, owned.shard_id
        after = owned.shard.position.sequence
        interval_us = settings.batch_interval_ms_min * _US_PER_MS
        pause = shortest = settings.poll_ms_min / _MS_PER_SECOND
        longest = settings.poll_ms_max / _MS_PER_SECOND
        while not self._stopping.is_set():
            part = await self._log.read(stream, shard_id, after, settings.batch_user_records_max)
            if not part.records and not part.ended:
                await clock.sleep(pause)
                pause = min(pause * 1.25, longest)
                continue
            pause = shortest
            started_us = clock.now_us()
            await deliver(ShardBatch(owned, part.records, part.ended, part.behind_records, part.behind_us))
            if part.ended:
                return True
            after = part.records[-1].sequence
            early_us = started_us + interval_us - clock.now_us()
            if early_us > 0:
                await clock.sleep(early_us / _US_PER_MS / _MS_PER_SECOND)
        return False
