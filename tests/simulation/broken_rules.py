"""The engine with one rule of the protocol broken: each must be caught, or the simulation proves nothing.

A broken part is the real one but for the line that breaks the rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from pipeline.kernel import keys
from pipeline.kernel.agent import Output, Stage
from pipeline.kernel.cycles import Cycles, Marker, decode_closed, encode_closed
from pipeline.kernel.hashrange import HashRange
from pipeline.kernel.meta import read_meta, write_meta
from pipeline.kernel.position import Source
from pipeline.kernel.tables import Changes
from pipeline.kernel.watermarks import Watermarks
from pipeline.ports import Record, ShardDescription, StateStore
from pipeline.publisher import Publisher, _Addressed
from pipeline.restore import Restorer
from pipeline.shard import Shard
from pipeline.state.memory import MemoryStore, MemoryStores
from tests.simulation.world import Engine


class CommitsFirst(Shard):
    """Commits before it has published."""

    async def process(self, records: Sequence[Record]) -> None:
        outputs = self.step(records)
        self.commit()
        await self.publish(outputs)


class LeavesTheRest(Publisher):
    """Does not send again what landed on a shard that does not own it."""

    async def _left_over(self, stream: str, sent: list[_Addressed], landed_on: str) -> list[_Addressed]:
        await super()._left_over(stream, sent, landed_on)
        return []


class PublishesBackwards(Publisher):
    """Sends the outputs of a batch in another order than they were made in."""

    async def publish(self, outputs: Sequence[Output]) -> None:
        await super().publish(outputs[::-1])


class ForgetfulWatermarks(Watermarks):
    """Forgets a source that has ended, instead of leaving a tombstone."""

    def end(self, source: bytes, pieces: Iterable[HashRange]) -> None:
        for piece in pieces:
            self._taken[self.pieces.index(piece)].pop(source, None)

    def collect(self, changes: Changes) -> None:
        known = {(number, source) for number, taken in enumerate(self._taken) for source in taken}
        for number, source in self._changed.keys() - known:
            changes[keys.WATERMARK + self._firsts[number] + source] = None
            del self._changed[number, source]
        super().collect(changes)


class ForgetsEndedSources(Shard):
    """Forgets the watermarks of a source that has ended."""

    def __init__(self, stage: Stage, store: StateStore, publisher: Publisher) -> None:
        super().__init__(stage, store, publisher)
        self._machine._watermarks = ForgetfulWatermarks(store)


class OnePieceWatermarks(Watermarks):
    """Advances the watermark of a broadcast only for the first piece that it is addressed to."""

    def take_broadcast(self, source: bytes, lineage: bytes, first: bytes, last: bytes) -> Sequence[HashRange]:
        number = max(i for i, piece_first in enumerate(self._firsts) if i == 0 or piece_first <= first)
        news = super().take_broadcast(source, lineage, self._firsts[number], self._lasts[number])
        return self.pieces if news else ()


class TakesBroadcastsByTheFirstPiece(Shard):
    """Asks only the first piece whether a broadcast is news, and believes it for all."""

    def __init__(self, stage: Stage, store: StateStore, publisher: Publisher) -> None:
        super().__init__(stage, store, publisher)
        self._machine._watermarks = OnePieceWatermarks(store)


class CoveringCycles(Cycles):
    """Takes a marker that came for one piece as if it had come for all."""

    def __init__(self, store: StateStore, pieces: Sequence[HashRange]) -> None:
        super().__init__(store)
        self._pieces = pieces

    def cover(self, marker: Marker, pieces: Iterable[HashRange]) -> list[Marker]:
        return super().cover(marker, self._pieces)


class CoversEveryPiece(Shard):
    """Covers all its pieces by a marker that came for one."""

    def __init__(self, stage: Stage, store: StateStore, publisher: Publisher) -> None:
        super().__init__(stage, store, publisher)
        cycles = CoveringCycles(store, self._machine._watermarks.pieces)
        self._machine._cycles = self._machine._context.cycles = cycles


class ForgetsWatermarks(MemoryStore):
    """Keeps no watermark."""

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().write({key: value for key, value in changes.items() if key[:1] != keys.WATERMARK}, dropped)


class ForgetsTimers(MemoryStore):
    """Keeps no timer."""

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().write({key: value for key, value in changes.items() if key[:1] != keys.TIMER}, dropped)


class WritesTwice(MemoryStore):
    """Writes a commit in two batches: where it stands, and then what it knows."""

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().write({key: value for key, value in changes.items() if key == keys.META})
        super().write({key: value for key, value in changes.items() if key != keys.META}, dropped)


class BrokenStores(MemoryStores):
    """Makes stores of a broken kind."""

    def __init__(self, kind: type[MemoryStore]) -> None:
        super().__init__(undoable=True)
        self._kind = kind

    def create(self, stage: str, shard_id: str) -> MemoryStore:
        return self._keep(stage, shard_id, super().create(stage, shard_id))

    def adopt(self, stage: str, shard_id: str, folder: Path) -> MemoryStore:
        return self._keep(stage, shard_id, super().adopt(stage, shard_id, folder))

    def _keep(self, stage: str, shard_id: str, store: MemoryStore) -> MemoryStore:
        broken = self._stores[stage, shard_id] = self._kind(store._pairs, undoable=True)
        return broken


class ChangesTheInheritance(Restorer):
    """Gives a child something else than what its parents left."""

    async def _from_parents(self, source: Source, shard: ShardDescription) -> StateStore:
        store = await super()._from_parents(source, shard)
        store.write(self._changes(store))
        return store

    def _changes(self, store: StateStore) -> Changes:
        raise NotImplementedError


class CoarsensPieces(ChangesTheInheritance):
    """Joins the pieces of a child into one."""

    def _changes(self, store: StateStore) -> Changes:
        changes: Changes = {}
        firsts = [row for row, _ in _rows(store, keys.PIECE)]
        first = firsts[0][1:]
        for prefix in (keys.PIECE, keys.COVERAGE):
            changes.update({prefix + row[1:]: None for row in firsts[1:]})
        meta = read_meta(store)
        assert meta is not None
        changes[keys.PIECE + first] = meta.last
        changes.update({row: None for row, _ in _rows(store, keys.WATERMARK)})
        for row, lineage in _rows(store, keys.WATERMARK):
            joined = keys.WATERMARK + first + row[17:]
            changes[joined] = max(lineage, changes.get(joined) or b"")
        return changes


class ClosesTogether(ChangesTheInheritance):
    """Lets all ranges of a child stand at the last cycle that any of them has closed."""

    def _changes(self, store: StateStore) -> Changes:
        closed = [(row, *decode_closed(data)) for row, data in _rows(store, keys.CLOSED)]
        latest = max(cycle for _, _, cycle in closed)
        return {row: encode_closed(last, latest) for row, last, _ in closed}


class StartsEarly(ChangesTheInheritance):
    """Lets a child's time begin before its parents' time."""

    def _changes(self, store: StateStore) -> Changes:
        meta = read_meta(store)
        assert meta is not None
        changes: Changes = {}
        write_meta(replace(meta, now_us=0), changes)
        return changes


class LeavesBroadcastsBehind(ChangesTheInheritance):
    """Gives a child no broadcast tables."""

    def _changes(self, store: StateStore) -> Changes:
        return {row: None for row, _ in _rows(store, keys.BROADCAST)}


def _rows(store: StateStore, prefix: bytes) -> list[tuple[bytes, bytes]]:
    return list(store.scan(prefix, keys.after_prefix(prefix)))


BROKEN = {
    "commits before it publishes": Engine(shard=CommitsFirst),
    "does not send the rest again": Engine(publisher=LeavesTheRest),
    "publishes out of order": Engine(publisher=PublishesBackwards),
    "forgets sources that ended": Engine(shard=ForgetsEndedSources),
    "asks one piece for all": Engine(shard=TakesBroadcastsByTheFirstPiece),
    "covers every piece by one marker": Engine(shard=CoversEveryPiece),
    "keeps no watermarks": Engine(stores=partial(BrokenStores, ForgetsWatermarks)),
    "keeps no timers": Engine(stores=partial(BrokenStores, ForgetsTimers)),
    "commits in two writes": Engine(stores=partial(BrokenStores, WritesTwice)),
    "makes pieces coarser": Engine(restorer=CoarsensPieces),
    "closes ranges together": Engine(restorer=ClosesTogether),
    "lets a child start early": Engine(restorer=StartsEarly),
    "leaves broadcast tables behind": Engine(restorer=LeavesBroadcastsBehind),
}
