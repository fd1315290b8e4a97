"""Bugs in where a shard starts from: what a restore brings back, and what a child inherits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from msgspec.structs import replace as with_fields

from chaos.simulator.ports import SnapshotsOfAMachine
from pipeline.kernel import audit_chain, keys
from pipeline.kernel.cycles import decode_closed, encode_closed
from pipeline.kernel.meta import Meta, read_meta, write_meta
from pipeline.kernel.position import LAST_SUB_SEQUENCE, START, Position, Source
from pipeline.kernel.tables import Changes
from pipeline.ports import Manifest, ShardDescription, StateStore
from pipeline.restore import ParentsNotEndedError, Restorer, genesis_rows


class _Bequeaths(Restorer):
    """Changes what a child inherits."""

    async def _from_parents(self, source: Source, shard: ShardDescription) -> StateStore:
        store = await super()._from_parents(source, shard)
        store.write(self._changes(store, len(shard.parents)))
        return store

    def _changes(self, store: StateStore, parents: int) -> Changes:
        raise NotImplementedError


class _Restores(Restorer):
    """Changes what comes back from a snapshot."""

    async def restore(self, shard: ShardDescription) -> StateStore:
        kept = self.stores.open(self.stage.name, shard.shard_id)
        store = await super().restore(shard)
        meta = _meta(store)
        if store is not kept and meta.position != START.pack():
            store.write(self._changes(store, meta))
        return store

    def _changes(self, store: StateStore, meta: Meta) -> Changes:
        raise NotImplementedError


class CoarsensPieces(_Bequeaths):
    """Pieces are never joined: the two sides of a merge have taken in different things."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        changes: Changes = {}
        firsts = [row for row, _ in _rows(store, keys.PIECE)]
        first = firsts[0][1:]
        for prefix in (keys.PIECE, keys.COVERAGE):
            changes.update({prefix + row[1:]: None for row in firsts[1:]})
        changes[keys.PIECE + first] = _meta(store).last
        changes.update({row: None for row, _ in _rows(store, keys.WATERMARK)})
        for row, lineage in _rows(store, keys.WATERMARK):
            joined = keys.WATERMARK + first + row[17:]
            changes[joined] = max(lineage, changes.get(joined) or b"")
        return changes


class TakesTheWatermarksOfOneParent(_Bequeaths):
    """Each piece of a merged shard keeps the watermarks of the parent that it came from."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        first, *others = [row[1:] for row, _ in _rows(store, keys.PIECE)]
        if parents == 1:
            return {}
        known = {row[17:]: lineage for row, lineage in _rows(store, keys.WATERMARK + first)}
        changes: Changes = {row: None for row, _ in _rows(store, keys.WATERMARK)}
        for piece in (first, *others):
            changes.update({keys.WATERMARK + piece + source: lineage for source, lineage in known.items()})
        return changes


class LosesWatermarks(_Bequeaths):
    """A child takes nothing in that its parents took in."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        return _without(store, keys.WATERMARK)


class ClosesRangesTogether(_Bequeaths):
    """The ranges of a child close a cycle one by one: they may stand at different ones."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        closed = [(row, *decode_closed(data)) for row, data in _rows(store, keys.CLOSED)]
        latest = max(cycle for _, _, cycle in closed)
        return {row: encode_closed(last, latest) for row, last, _ in closed}


class StartsAtTimeZero(_Bequeaths):
    """A child's time goes on where its parents' time stood."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        return _with_meta(with_fields(_meta(store), now_us=0))


class StartsWithTheFirstBehaviour(_Bequeaths):
    """A child behaves as its parents did last."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        return _with_meta(with_fields(_meta(store), behaviour=min(self.stage.behaviours)))


class StartsANewChain(_Bequeaths):
    """A child's chain of digests goes on from its parents' END heads."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        meta = _meta(store)
        return _with_meta(with_fields(meta, chain_head=audit_chain.genesis(meta.source.encode())))


class LeavesBroadcastTablesBehind(_Bequeaths):
    """What every shard knows, a child knows too."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        return _without(store, keys.BROADCAST)


class LosesTimers(_Bequeaths):
    """Timers go with the range of their key."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        return _without(store, keys.TIMER)


class LosesClaims(_Bequeaths):
    """Claims go with the range of their key."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        return _without(store, keys.HORIZON)


class LosesCoverage(_Bequeaths):
    """The markers that came for a piece go with the piece."""

    def _changes(self, store: StateStore, parents: int) -> Changes:
        rows = _rows(store, keys.COVERAGE)
        return {row: rows[0][1] for row, _ in rows}


class KeepsForeignRows(Restorer):
    """A child's rows are cut to its range: what is its sibling's must not fire twice."""

    async def _from_parents(self, source: Source, shard: ShardDescription) -> StateStore:
        store = await super()._from_parents(source, shard)
        end = await self._find_end(source._replace(shard_id=shard.parents[0]), shard.shard_id)
        parent = self.stores.read(await self._fetch(end, shard.shard_id))
        for prefix in (keys.KEYED, keys.TIMER):
            store.write({row: value for row, value in _rows(parent, prefix) if store.get(row) is None})
        return store


class RestoresNoClaims(_Restores):
    """A snapshot is all of the state, the claims too."""

    def _changes(self, store: StateStore, meta: Meta) -> Changes:
        return _without(store, keys.HORIZON)


class RestoresNoTimers(_Restores):
    """A snapshot is all of the state, the deadlines too."""

    def _changes(self, store: StateStore, meta: Meta) -> Changes:
        return _without(store, keys.TIMER)


class SkipsARecord(_Restores):
    """Reading goes on right behind the position that the state names."""

    def _changes(self, store: StateStore, meta: Meta) -> Changes:
        skipped = Position(Position.unpack(meta.position).sequence + 1, LAST_SUB_SEQUENCE)
        return _with_meta(with_fields(meta, position=skipped.pack()))


class StartsWithoutItsParents(Restorer):
    """A child waits for its parents' END: without it, it knows nothing."""

    async def _from_parents(self, source: Source, shard: ShardDescription) -> StateStore:
        try:
            return await super()._from_parents(source, shard)
        except ParentsNotEndedError:
            store = self.stores.create(self.stage.name, shard.shard_id)
            store.write(genesis_rows(self.stage, source, shard.hash_range))
            return store


class _Gullible(SnapshotsOfAMachine):
    """Takes every snapshot for one of the shard that it was asked for."""

    async def manifests(self, stage: str, shard_id: str) -> Sequence[Manifest]:
        found = await super().manifests(stage, shard_id)
        return [replace(manifest, source=f"{manifest.source.rpartition('/')[0]}/{shard_id}") for manifest in found]


class BelievesStrangers(Restorer):
    """A snapshot of another shard is refused, whatever it is filed under."""

    async def restore(self, shard: ShardDescription) -> StateStore:
        seen = cast("SnapshotsOfAMachine", self.snapshots)
        gullible = _Gullible(seen._shared, shard.shard_id, seen._hidden)
        return await Restorer(self.stage, self.log, self.stores, gullible, self.scratch).restore(shard)


def _meta(store: StateStore) -> Meta:
    meta = read_meta(store)
    assert meta is not None
    return meta


def _with_meta(meta: Meta) -> Changes:
    changes: Changes = {}
    write_meta(meta, changes)
    return changes


def _rows(store: StateStore, prefix: bytes) -> list[tuple[bytes, bytes]]:
    return list(store.scan(prefix, keys.after_prefix(prefix)))


def _without(store: StateStore, prefix: bytes) -> Changes:
    return {row: None for row, _ in _rows(store, prefix)}
