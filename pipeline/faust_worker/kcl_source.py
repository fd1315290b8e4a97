"""Batches from KCL: this process has one shard, and the daemon that runs it says what is in there.

What the daemon believes to have been read is its checkpoint; what *was* read stands in the state.  The two need not
agree, and the state decides:

    records at or below the state's position        are left out: they were committed
    the first record above it                       is it the next one?  The log is asked, and what lies between is
                                                    read there and taken in before anything else
    the shard's end                                 is what the log itself says: what is left is read there

A message is answered when everything in it was committed, and not before.  A checkpoint follows a snapshot, to the
position that the snapshot has: from there another owner can begin.  At the shard's end it follows the END snapshot,
which is read back first: what follows it is that children begin, and they have nothing else to begin from.  If it is
damaged later, KCL will never deliver that shard again; so whoever needs it reads the shard once more, directly, and
makes it anew - one process of a machine at a time, as both children of a split may need it.

        initialize ──> take over ──> processRecords* ──> shardEnded ──> read to the end ──> END snapshot, verified
                                          │                                                   ──> checkpoint ──> give up
                                          ├──> shutdownRequested ──> snapshot ──> checkpoint
                                          └──> leaseLost ──> give up
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pipeline.errors import LogError
from pipeline.faust_worker.batches import ShardBatch
from pipeline.faust_worker.errors import LastSnapshotError
from pipeline.kernel.position import Position
from pipeline.observe.logging import about
from pipeline.restore import ParentsNotEndedError
from pipeline.stream_logs import kcl
from pipeline.stream_logs.backoff import Backoff
from pipeline.stream_logs.kinesis_numbers import kinesis_number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence
    from typing import BinaryIO

    from pipeline.faust_worker.batches import Deliver
    from pipeline.faust_worker.ports import WorkerPorts
    from pipeline.faust_worker.shards import OwnedShard, Shards
    from pipeline.kernel.agent import Stage
    from pipeline.ports import Record
    from pipeline.settings import WorkerSettings
    from pipeline.stream_logs.kcl_pipe import DaemonPipe

_log = logging.getLogger(__name__)
_US_PER_MS = 1_000
_MS_PER_SECOND = 1_000
LEASE_LOST = "ShutdownException"
"""KCL's word for it, where a checkpoint was asked for."""


class KclSource:
    """A ``BatchSource`` that the KCL daemon fills."""

    def __init__(
        self,
        pipe: DaemonPipe,
        stages: Sequence[Stage],
        _wanted: Collection[str] | None,
        ports: WorkerPorts,
        shards: Shards,
        settings: WorkerSettings,
    ) -> None:
        if len(stages) != 1:
            raise ValueError(f"a child of KCL runs one stage, not {len(stages)}")
        self._pipe = pipe
        self._stage = stages[0]
        self._log = ports.log
        self._clock = ports.clock
        self._scratch = ports.scratch
        self._shards = shards
        self._settings = settings
        self._stopping = asyncio.Event()
        self._owned: OwnedShard | None = None
        self._joined = False
        """True once what was delivered is known to follow what was committed."""
        self._anchor = 0
        self._first = self._last = 0
        """Of all that was delivered; 0 before."""
        self._checkpointed: bytes | None = None
        self._unsaved = False
        """True when no snapshot could be taken before the shard was lost."""

    def stop(self) -> None:
        """Deliver nothing more."""
        self._stopping.set()

    async def run(self, deliver: Deliver) -> None:
        """Deliver batches until the daemon closes the line, or until stopped."""
        await self._serve(deliver)
        if self._unsaved:
            raise LastSnapshotError(f"the last snapshot failed of {self._stage.name}/{self._pipe.shard_id}")

    async def _serve(self, deliver: Deliver) -> None:
        if self._pipe.shard_id is not None:
            await self._take_over(self._pipe.shard_id, deliver)
        while (message := await self._next()) is not None:
            match message:
                case kcl.Initialize():
                    if self._owned is None:
                        await self._take_over(message.shard_id, deliver)
                case kcl.ProcessRecords():
                    await self._take_in(self._the_shard(), message, deliver)
                case kcl.ShardEnded():
                    await self._end(self._the_shard(), deliver)
                case kcl.ShutdownRequested():
                    await self._prepare_to_lose(self._owned)
                case kcl.LeaseLost():
                    await self._lose(self._owned)
                case kcl.CheckpointAnswer():
                    raise LogError("the KCL daemon tells of a checkpoint that nobody asked for")
            self._pipe.answer()

    async def _next(self) -> kcl.Message | None:
        """Return the next message, or None when there will be none, or when told to stop."""
        received = asyncio.ensure_future(self._pipe.receive())
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((received, stopped), return_when=asyncio.FIRST_COMPLETED)
            return received.result() if received.done() else None
        finally:
            received.cancel()
            stopped.cancel()

    def _the_shard(self) -> OwnedShard:
        if self._owned is None:
            raise LogError("the KCL daemon speaks of a shard before it has named one, or behind its end")
        return self._owned

    async def _take_over(self, shard_id: str, deliver: Deliver) -> None:
        self._owned = owned = await self._restore(shard_id, deliver)
        _log.info("shard taken over at %s", owned.shard.position, extra=self._about())

    async def _restore(self, shard_id: str, deliver: Deliver) -> OwnedShard:
        """Own a shard.  What its parents must have left and have not is made here: for KCL they are done."""
        stream = self._stage.source_stream
        shard = next((shard for shard in await self._log.shards(stream) if shard.shard_id == shard_id), None)
        if shard is None:
            raise LogError(f"there is no shard {stream}/{shard_id}, which KCL or a child of it knows: another stream?")
        try:
            return await self._shards.take_over(self._stage, shard)
        except ParentsNotEndedError as error:
            _log.warning("%s; reading it again", error, extra=self._about())
        for parent in shard.parents:
            async with self._alone_with(parent):
                if not await self._shards.is_over(self._stage, parent):
                    again = await self._restore(parent, deliver)
                    await self._read_to_the_end(again, deliver)
                    await self._shards.give_up(again)
        return await self._shards.take_over(self._stage, shard)

    @asynccontextmanager
    async def _alone_with(self, parent: str) -> AsyncIterator[None]:
        """Keep the parent's other children on this machine, which miss the same, from its store meanwhile."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with (self._scratch / f"{self._stage.name}-{parent}.lock").open("wb") as lock:
            while not _locked(lock):
                await self._clock.sleep(self._settings.poll_ms_max / _MS_PER_SECOND)
            yield

    async def _take_in(self, owned: OwnedShard, message: kcl.ProcessRecords, deliver: Deliver) -> None:
        if message.records:
            delivery = kcl.whole_records(message.records)
            self._anchor = delivery.anchor
            self._first = self._first or delivery.records[0].sequence
            self._last = delivery.records[-1].sequence
            fresh = await self._joining(owned, delivery, deliver)
            behind_us = (message.millis_behind_latest or 0) * _US_PER_MS
            for batch in self._batches(owned, fresh, behind_us):
                await deliver(batch)
        await self._checkpoint(owned)

    async def _joining(self, owned: OwnedShard, delivery: kcl.Delivery, deliver: Deliver) -> Sequence[Record]:
        """Return the records that were not committed yet, once everything before them was."""
        position = owned.shard.position.sequence
        fresh = [record for record in delivery.records if record.sequence > position]
        if not fresh:
            return fresh
        if not delivery.first_is_whole and len(fresh) == len(delivery.records):
            await self._read(owned, deliver, fresh[0].sequence + 1)
            fresh = fresh[1:]
        elif not self._joined and not any(record.sequence == position for record in delivery.records):
            await self._read(owned, deliver, fresh[0].sequence)
        self._joined = True
        return fresh

    def _batches(self, owned: OwnedShard, records: Sequence[Record], behind_us: int) -> Iterator[ShardBatch]:
        """Cut what one message brought into batches; KCL does not say how many records are behind it."""
        left = sum(len(record.user_records) for record in records)
        more = 1 if behind_us else 0
        taken: list[Record] = []
        count = 0
        for record in records:
            taken.append(record)
            count += len(record.user_records)
            if count >= self._settings.batch_user_records_max or record is records[-1]:
                left -= count
                yield ShardBatch(owned, taken, ended=False, behind_records=left + more, behind_us=behind_us)
                taken, count = [], 0

    async def _read(self, owned: OwnedShard, deliver: Deliver, end: int | None) -> None:
        """Read the log itself, from the state's position up to the record ``end``, or to the end of the shard.

        What is delivered stops before ``end``; that it is there proves that nothing is missing.
        """
        stream, shard_id = self._stage.source_stream, owned.shard_id
        after = start = owned.shard.position.sequence
        while True:
            part = await self._log.read(stream, shard_id, after, self._settings.batch_user_records_max)
            inside = [record for record in part.records if end is None or record.sequence < end]
            ended = part.ended and end is None
            if inside or ended:
                await deliver(ShardBatch(owned, inside, ended, part.behind_records, part.behind_us))
            after = inside[-1].sequence if inside else after
            if ended or len(inside) < len(part.records) or (end is not None and after >= end - 1):
                break
            if part.ended:
                raise LogError(f"{stream}/{shard_id}: KCL delivered record {end}, but the shard ends before it")
            if not part.records:
                await self._clock.sleep(self._settings.poll_ms_max / _MS_PER_SECOND)
        if after != start:
            _log.info("read from %s to %s what KCL did not deliver", start, after, extra=self._about())

    async def _read_to_the_end(self, owned: OwnedShard, deliver: Deliver) -> None:
        """Take in what is left, publish the END snapshot, and see that it is whole."""
        await self._read(owned, deliver, None)
        await self._shards.verify_end(owned)

    async def _end(self, owned: OwnedShard, deliver: Deliver) -> None:
        """Leave the END snapshot, and let the children begin."""
        await self._read_to_the_end(owned, deliver)
        backoff = Backoff()
        while error := await self._pipe.checkpoint(kcl.checkpoint_of_the_end()):
            if error == LEASE_LOST:
                _log.warning("the lease was lost at the end of the shard; its next owner ends it", extra=self._about())
                break
            _log.warning("the shard's end was not checkpointed, tried again: %s", error, extra=self._about())
            await self._clock.sleep(backoff.failed())
        await self._lose(owned)
        _log.info("shard read to its end", extra=self._about())

    async def _prepare_to_lose(self, owned: OwnedShard | None) -> None:
        if owned is not None:
            self._unsaved = not await self._shards.snapshot(owned)
            await self._checkpoint(owned)

    async def _lose(self, owned: OwnedShard | None) -> None:
        if owned is not None:
            self._owned = None
            await self._shards.give_up(owned)

    async def _checkpoint(self, owned: OwnedShard) -> None:
        """Tell KCL of a new snapshot, if KCL knows its position: neither before nor behind what was delivered here."""
        packed = owned.snapshot_position
        if packed is None or packed == self._checkpointed:
            return
        position = Position.unpack(packed)
        if not self._first <= position.sequence <= self._last:
            return
        number = kinesis_number(self._anchor, position.sequence)
        error = await self._pipe.checkpoint(kcl.checkpoint(number, position.sub_sequence))
        if error is None:
            self._checkpointed = packed
            return
        level = logging.INFO if error == LEASE_LOST else logging.WARNING
        _log.log(
            level, "no checkpoint at %s: %s; another follows a later snapshot", position, error, extra=self._about()
        )
        self._checkpointed = packed

    def _about(self) -> dict[str, dict[str, object]]:
        return about(stage=self._stage.name, shard=self._pipe.shard_id)


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
