"""Cycles: how every shard closes the same cycle with the same payments, without asking each other.

Cut-offs come as events.  When a shard's time passes one, it emits a marker per own range, behind everything it has
added to that cycle, and from then on adds to the next: what it adds to is ``closed + 1`` of the range that holds the
key.  A marker is a broadcast to the stage's own stream.  A piece of the hash space collects, per cycle, the ranges
whose markers came; when they tile the whole space nothing can be added any more, and the piece finalises the cycle.

Closed cycles are kept per own range and coverage per piece.  Splits clip both, merges take the union: neither is ever
made coarser, since the two sides of a merge may stand at different cycles.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.errors import InvariantViolation, Poison
from pipeline.kernel import keys
from pipeline.kernel.hashrange import FULL_RANGE, HashRange, missing_from
from pipeline.kernel.system_events import CYCLE_END

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.kernel.tables import Changes
    from pipeline.ports import StateStore

NONE_YET = -1
_NEVER = 1 << 63


class Coverage(msgspec.Struct):
    """What one piece knows: its last finalised cycle, and the ranges whose markers came for each later one."""

    finalised: int = NONE_YET
    covered: dict[int, list[tuple[bytes, bytes]]] = {}


_encode_coverage = msgspec.msgpack.Encoder().encode
_decode_coverage = msgspec.msgpack.Decoder(Coverage).decode


def encode_coverage(coverage: Coverage) -> bytes:
    """Return the row of a piece."""
    return _encode_coverage(coverage)


class Marker(NamedTuple):
    """A cut-off that an own range has passed."""

    cycle: int
    hash_range: HashRange


class Cycles:
    """The calendar of cut-offs, what our own ranges have closed, and what our pieces have finalised."""

    def __init__(self, store: StateStore) -> None:
        self._cut_offs = {
            int.from_bytes(row[1:], "big"): int.from_bytes(at, "big")
            for row, at in store.scan(keys.CUT_OFF, keys.after_prefix(keys.CUT_OFF))
        }
        self.ranges: list[HashRange] = []
        """Our own ranges, which close cycles one by one."""
        self._closed: list[int] = []
        for row, data in store.scan(keys.CLOSED, keys.after_prefix(keys.CLOSED)):
            last, closed = decode_closed(data)
            self.ranges.append(HashRange.from_bytes(row[1:], last))
            self._closed.append(closed)
        self._firsts = [own.first_bytes for own in self.ranges]
        self._coverage = {
            row[1:]: _decode_coverage(data) for row, data in store.scan(keys.COVERAGE, keys.after_prefix(keys.COVERAGE))
        }
        self._piece_firsts = sorted(self._coverage)
        self._changes: Changes = {}
        self.next_due_us = self._next_due()
        """No cut-off is passed before this."""

    def schedule(self, cycle: int, at_us: int) -> None:
        """Let ``cycle`` be cut off at ``at_us``; a cut-off that is known, or passed, stays as it is.

        Cycles are numbered from 0 without a gap: a range closes none before all earlier ones.
        """
        if not (0 <= cycle < CYCLE_END and 0 <= at_us < _NEVER):
            raise Poison(f"there is no cycle {cycle} that is cut off at {at_us}")
        if cycle not in self._cut_offs:
            self._cut_offs[cycle] = at_us
            self._changes[keys.CUT_OFF + cycle.to_bytes(8, "big")] = at_us.to_bytes(8, "big")
            self.next_due_us = self._next_due()

    def open_cycle(self, hashed: bytes) -> int:
        """Return the cycle that the key with this hash adds to now."""
        return self._closed[bisect_right(self._firsts, hashed) - 1] + 1

    def is_finalised(self, hashed: bytes, cycle: int) -> bool:
        """Say whether the piece that holds ``hashed`` has finalised ``cycle``: nothing may be added to it any more."""
        first = self._piece_firsts[bisect_right(self._piece_firsts, hashed) - 1]
        return cycle <= self._coverage[first].finalised

    def pass_cut_offs(self, now_us: int) -> list[Marker]:
        """Close what is due by ``now_us`` and return the markers to broadcast, in cycle order."""
        markers = []
        for number, own in enumerate(self.ranges):
            while self._cut_offs.get(self._closed[number] + 1, _NEVER) <= now_us:
                self._closed[number] += 1
                markers.append(Marker(self._closed[number], own))
                self._changes[keys.CLOSED + own.first_bytes] = encode_closed(own.last_bytes, self._closed[number])
        self.next_due_us = self._next_due()
        return sorted(markers, key=lambda marker: (marker.cycle, marker.hash_range))

    def cover(self, marker: Marker, pieces: Iterable[HashRange]) -> list[Marker]:
        """Note a marker that came for ``pieces``; return (cycle, piece) of all that are final with it, in order."""
        final = []
        for piece in pieces:
            coverage = self._coverage[piece.first_bytes]
            if marker.cycle <= coverage.finalised:
                raise InvariantViolation(
                    f"a marker of cycle {marker.cycle} for {marker.hash_range} came after {piece} finalised it"
                )
            bounds = (marker.hash_range.first_bytes, marker.hash_range.last_bytes)
            coverage.covered.setdefault(marker.cycle, []).append(bounds)
            while _is_complete(coverage.covered.get(coverage.finalised + 1, ())):
                coverage.finalised += 1
                del coverage.covered[coverage.finalised]
                final.append(Marker(coverage.finalised, piece))
            self._changes[keys.COVERAGE + piece.first_bytes] = encode_coverage(coverage)
        return final

    def collect(self, changes: Changes) -> None:
        """Move what changed into ``changes``; called by the commit."""
        changes.update(self._changes)
        self._changes.clear()

    def _next_due(self) -> int:
        return min((self._cut_offs.get(closed + 1, _NEVER) for closed in self._closed), default=_NEVER)


def _is_complete(bounds: Iterable[tuple[bytes, bytes]]) -> bool:
    return not missing_from(FULL_RANGE, [HashRange.from_bytes(first, last) for first, last in bounds])


def encode_closed(last: bytes, closed: int) -> bytes:
    """Return the row of an own range: its last hash and the last cycle it closed."""
    return last + closed.to_bytes(8, "big", signed=True)


def decode_closed(data: bytes) -> tuple[bytes, int]:
    """Return what :func:`encode_closed` wrote."""
    return data[:16], int.from_bytes(data[16:], "big", signed=True)
