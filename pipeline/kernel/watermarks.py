"""What was already taken in: the last lineage per source and piece of the shard's hash range.

A source shard's outputs for one destination shard arrive in lineage order, so whatever is not above the last lineage
taken in is a repeat, and is dropped.  After a reshard a record may reach a shard that owns only part of its keys, and
the rest is sent again later, under lower lineages: so one watermark a shard would be wrong.  There is one per *piece*,
the common refinement of the ranges of all the shards that this one descends from.  Pieces never become coarser.

A source that was closed and read to its end leaves a tombstone: a watermark behind every lineage.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from pipeline.errors import InvariantViolation
from pipeline.kernel import keys
from pipeline.kernel.hashrange import HASH_BYTES, HashRange
from pipeline.kernel.position import NO_LINEAGE, SOURCE_ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.kernel.tables import Changes
    from pipeline.ports import StateStore


class Watermarks:
    """The pieces of a shard and, for each, the last lineage of every source."""

    def __init__(self, store: StateStore) -> None:
        rows = store.scan(keys.PIECE, keys.after_prefix(keys.PIECE))
        self.pieces: list[HashRange] = [HashRange.from_bytes(row[1:], last) for row, last in rows]
        self._firsts = [piece.first_bytes for piece in self.pieces]
        self._lasts = [piece.last_bytes for piece in self.pieces]
        self._taken: list[dict[bytes, bytes]] = [{} for _ in self.pieces]
        self._changed: dict[tuple[int, bytes], None] = {}
        index = {first: number for number, first in enumerate(self._firsts)}
        for row, lineage in store.scan(keys.WATERMARK, keys.after_prefix(keys.WATERMARK)):
            self._taken[index[row[1 : 1 + HASH_BYTES]]][row[1 + HASH_BYTES :]] = lineage

    def take(self, source: bytes, lineage: bytes, hashed: bytes) -> bool:
        """Say whether a keyed record is news, and remember it if so."""
        number = bisect_right(self._firsts, hashed) - 1
        taken = self._taken[number]
        if lineage <= taken.get(source, NO_LINEAGE):
            return False
        taken[source] = lineage
        self._changed[number, source] = None
        return True

    def take_broadcast(self, source: bytes, lineage: bytes, first: bytes, last: bytes) -> Sequence[HashRange]:
        """Return the pieces between ``first`` and ``last`` to which a broadcast is news, and remember it there."""
        news = []
        for number, piece in enumerate(self.pieces):
            if self._lasts[number] < first or last < self._firsts[number]:
                continue
            if self._firsts[number] < first or last < self._lasts[number]:
                message = f"a broadcast of {source!r} is addressed to only a part of the piece {piece}"
                raise InvariantViolation(message)
            if lineage > self._taken[number].get(source, NO_LINEAGE):
                self._taken[number][source] = lineage
                self._changed[number, source] = None
                news.append(piece)
        return news

    def end(self, source: bytes, pieces: Iterable[HashRange]) -> None:
        """Leave a tombstone: from now on nothing of ``source`` is news to ``pieces``."""
        for piece in pieces:
            number = self.pieces.index(piece)
            self._taken[number][source] = SOURCE_ENDED
            self._changed[number, source] = None

    def collect(self, changes: Changes) -> None:
        """Move what advanced into ``changes``; called by the commit."""
        for number, source in self._changed:
            changes[keys.WATERMARK + self._firsts[number] + source] = self._taken[number][source]
        self._changed.clear()
