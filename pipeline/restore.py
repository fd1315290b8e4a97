"""Where a shard starts from, and how its state gets to where the next owner finds it.

In this order: the state this worker still has, unless another has owned the shard since and left a snapshot of a later
position; the newest snapshot that is whole; for a child of a split or merge its parents' END snapshots; for a shard
that a stream was created with, nothing.  Whatever it is, the position inside says where reading goes on, and the log
has the rest.

A snapshot is taken beside the hot path: flush in a thread while batches go on, copy by hard links between two batches,
digest and publish in a thread.  How to run beside it is the caller's to say: a simulator does without threads.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from pipeline.errors import HorizonError, InvariantViolation, SnapshotError
from pipeline.kernel import audit_chain, keys, reshard
from pipeline.kernel.cycles import NONE_YET, Coverage, encode_closed, encode_coverage
from pipeline.kernel.meta import Meta, read_meta, write_meta
from pipeline.kernel.position import START, Source
from pipeline.ports import Manifest
from pipeline.state.digest import FileDigests, state_digest
from pipeline.state.restoring import fetch_newest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from pipeline.kernel.agent import Stage
    from pipeline.kernel.hashrange import HashRange
    from pipeline.kernel.tables import Changes
    from pipeline.ports import Log, ShardDescription, SnapshotStore, StateStore, Stores
    from pipeline.shard import Shard


T = TypeVar("T")


class Beside(Protocol):
    """Runs work that blocks beside the event loop, as ``asyncio.to_thread`` does."""

    def __call__(self, work: Callable[..., T], /, *args: object) -> Awaitable[T]:
        """Return what ``work`` returned."""


class ParentsNotEndedError(SnapshotError):
    """A child cannot start: a parent has not been read to its end, or its END snapshot is not there."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """Finds or builds the state that a shard of one stage starts from."""

    stage: Stage
    log: Log
    stores: Stores
    snapshots: SnapshotStore
    scratch: Path
    """A folder on the stores' file system for what is being fetched."""

    async def restore(self, shard: ShardDescription) -> StateStore:
        """Return the state of ``shard``, ready for a ``Shard``."""
        await self._check_horizon()
        stream = self.stage.source_stream
        source = Source(await self.log.incarnation_of(stream), stream, shard.shard_id)
        kept = self._kept(source)
        if kept is not None:
            if not await self._is_overtaken(kept, shard.shard_id):
                return kept
            kept.close()
        folder = self.scratch / f"{self.stage.name}-{shard.shard_id}"
        manifest = await fetch_newest(self.snapshots, self.stage.name, shard.shard_id, source.pack().decode(), folder)
        if manifest is not None:
            return self.stores.adopt(self.stage.name, shard.shard_id, folder)
        if shard.parents:
            return await self._from_parents(source, shard)
        store = self.stores.create(self.stage.name, shard.shard_id)
        store.write(genesis_rows(self.stage, source, shard.hash_range))
        return store

    async def _check_horizon(self) -> None:
        """Refuse a stream that could bring back a record whose claim is forgotten: it would be executed again."""
        retention_us = await self.log.retention_us(self.stage.source_stream)
        for version, behaviour in self.stage.behaviours.items():
            if behaviour.remembers_us is not None and behaviour.remembers_us < retention_us:
                raise HorizonError(
                    f"stage {self.stage.name}, behaviour {version}: remembers {behaviour.remembers_us} us, but stream "
                    f"{self.stage.source_stream} keeps records for {retention_us} us; shorten the stream's retention"
                )

    async def _is_overtaken(self, kept: StateStore, shard_id: str) -> bool:
        """Say whether another owner has gone further: what it read since may not be in the log any more."""
        meta = read_meta(kept)
        newest = max((each.position for each in await self.snapshots.manifests(self.stage.name, shard_id)), default=b"")
        return meta is not None and newest > meta.position

    def _kept(self, source: Source) -> StateStore | None:
        store = self.stores.open(self.stage.name, source.shard_id)
        if store is None:
            return None
        meta = read_meta(store)
        if meta is not None and meta.source == source.pack().decode():
            return store
        store.close()
        if meta is None or _is_sibling(meta.source, source):
            return None  # a start that was interrupted: nothing of it was ever read or sent
        raise InvariantViolation(
            f"the state kept for {source.pack().decode()} is that of {meta.source}: wrong folder, or wrong log"
        )

    async def _from_parents(self, source: Source, shard: ShardDescription) -> StateStore:
        """Return a copy of the first parent's END state, cut to the child's range, united with the second's."""
        ends = [await self._find_end(source._replace(shard_id=parent), shard.shard_id) for parent in shard.parents]
        folders = [await self._fetch(end, shard.shard_id) for end in ends]
        others = [self.stores.read(folder) for folder in folders[1:]]
        store = self.stores.adopt(self.stage.name, shard.shard_id, folders[0])
        metas = [_ended_meta(parent, end) for parent, end in zip((store, *others), ends, strict=True)]
        small = reshard.small_rows((store, *others), shard.hash_range)
        store.write(small, reshard.outside(store, shard.hash_range))
        for other, folder in zip(others, folders[1:], strict=True):
            for rows in reshard.rows_inside(other, shard.hash_range):
                store.write(rows)
            other.close()
            shutil.rmtree(folder)
        done: Changes = {}
        write_meta(_child_meta(source, shard.hash_range, metas), done)
        store.write(done)
        return store

    async def _find_end(self, parent: Source, child: str) -> Manifest:
        for manifest in await self.snapshots.manifests(self.stage.name, parent.shard_id):
            if manifest.ended:
                if manifest.source != parent.pack().decode():
                    raise SnapshotError(
                        f"stage {self.stage.name}: the END snapshot of {parent.shard_id} is of {manifest.source}, "
                        f"but shard {child} descends from {parent.pack().decode()}"
                    )
                return manifest
        raise ParentsNotEndedError(
            f"stage {self.stage.name}: shard {child} waits for the END snapshot of its parent {parent.shard_id}"
        )

    async def _fetch(self, end: Manifest, child: str) -> Path:
        folder = self.scratch / f"{self.stage.name}-{child}-from-{end.shard_id}"
        shutil.rmtree(folder, ignore_errors=True)  # of a start that was interrupted
        try:
            await self.snapshots.fetch(end, folder)
        except SnapshotError as error:
            if not await self.snapshots.set_aside(end):
                raise
            raise ParentsNotEndedError(
                f"stage {self.stage.name}: shard {child} waits until its parent {end.shard_id} is read again: "
                f"the END snapshot is damaged, and set aside: {error}"
            ) from error
        return folder


def genesis_rows(stage: Stage, source: Source, hash_range: HashRange) -> Changes:
    """Return the state of a shard that has read nothing."""
    meta = Meta(
        source=source.pack().decode(),
        first=hash_range.first_bytes,
        last=hash_range.last_bytes,
        position=START.pack(),
        chain_head=audit_chain.genesis(source.pack()),
        now_us=0,
        behaviour=min(stage.behaviours),
        records=0,
    )
    rows: Changes = {
        keys.PIECE + meta.first: meta.last,
        keys.CLOSED + meta.first: encode_closed(meta.last, NONE_YET),
        keys.COVERAGE + meta.first: encode_coverage(Coverage()),
    }
    write_meta(meta, rows)
    return rows


def _ended_meta(parent: StateStore, end: Manifest) -> Meta:
    meta = read_meta(parent)
    if meta is None or (meta.source, meta.position, meta.ended) != (end.source, end.position, True):
        raise SnapshotError(f"the END snapshot of {end.source} does not hold the state that its manifest names")
    return meta


def _child_meta(source: Source, hash_range: HashRange, parents: Sequence[Meta]) -> Meta:
    in_order = sorted(parents, key=lambda meta: meta.first)
    return Meta(
        source=source.pack().decode(),
        first=hash_range.first_bytes,
        last=hash_range.last_bytes,
        position=START.pack(),
        chain_head=audit_chain.child_of([meta.chain_head for meta in in_order], source.pack()),
        now_us=max(meta.now_us for meta in parents),
        behaviour=max(meta.behaviour for meta in parents),
        records=0,
    )


def _is_sibling(kept: str, wanted: Source) -> bool:
    other = Source.unpack(kept.encode())
    return (other.incarnation, other.stream) == (wanted.incarnation, wanted.stream)


async def take_snapshot(
    shard: Shard,
    stores: Stores,
    snapshots: SnapshotStore,
    folder: Path,
    digests: FileDigests,
    beside: Beside = asyncio.to_thread,
) -> Manifest:
    """Publish the last committed state of ``shard`` and return its manifest; batches may go on meanwhile.

    ``folder`` must not exist; it is the caller's to remove.
    """
    await beside(shard.store.flush)
    shard.store.checkpoint(folder)
    meta = shard.committed
    state = stores.read(folder)
    try:
        digest = await beside(state_digest, state)
    finally:
        state.close()
    manifest = Manifest(
        stage=shard.stage.name,
        source=meta.source,
        shard_id=Source.unpack(meta.source.encode()).shard_id,
        position=meta.position,
        ended=meta.ended,
        chain_head=meta.chain_head,
        behaviour=meta.behaviour,
        state_digest=digest,
        files=await beside(digests.of, folder),
    )
    await snapshots.publish(manifest, folder)
    return manifest
