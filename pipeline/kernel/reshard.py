"""What a child shard inherits: its parents' END states, cut to its range, united.

State, timers and watermarks are keyed by hash, so a split is a filter and a merge a union.  Pieces, closed cycles and
coverage that reach over the child's bounds are clipped; broadcast tables are united by version; the shard's time is
the latest of the parents' times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.kernel import keys
from pipeline.kernel.cycles import decode_closed, encode_closed
from pipeline.kernel.hashrange import FULL_RANGE, HASH_BYTES, HashRange
from pipeline.kernel.tables import decode_versioned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.kernel.tables import Changes, Dropped
    from pipeline.ports import StateStore

_COPIED_AT_ONCE = 10_000
_GENERATION_BYTES = 6  # prefix, table, generation: what stands before the hash in a horizon row
_SMALL = (keys.PIECE, keys.WATERMARK, keys.COVERAGE, keys.CLOSED)


def small_rows(parents: Sequence[StateStore], child: HashRange) -> Changes:
    """Return the rows that are clipped or united: pieces, watermarks, cycles and broadcast tables."""
    rows: Changes = {}
    for parent in parents:
        for row, last in parent.scan(keys.PIECE, keys.after_prefix(keys.PIECE)):
            common = HashRange.from_bytes(row[1:], last).overlap(child)
            if common is not None:
                rows[keys.PIECE + common.first_bytes] = common.last_bytes
                _clip_piece(parent, row[1:], common.first_bytes, rows)
        for row, data in parent.scan(keys.CLOSED, keys.after_prefix(keys.CLOSED)):
            last, closed = decode_closed(data)
            common = HashRange.from_bytes(row[1:], last).overlap(child)
            if common is not None:
                rows[keys.CLOSED + common.first_bytes] = encode_closed(common.last_bytes, closed)
        for row, data in parent.scan(keys.CUT_OFF, keys.after_prefix(keys.CUT_OFF)):
            rows.setdefault(row, data)
        for row, data in parent.scan(keys.BROADCAST, keys.after_prefix(keys.BROADCAST)):
            known = rows.get(row)
            if known is None or decode_versioned(known)[0] < decode_versioned(data)[0]:
                rows[row] = data
    return rows


def _clip_piece(parent: StateStore, first: bytes, clipped_first: bytes, rows: Changes) -> None:
    prefix = keys.WATERMARK + first
    for row, lineage in parent.scan(prefix, keys.after_prefix(prefix)):
        rows[keys.WATERMARK + clipped_first + row[1 + HASH_BYTES :]] = lineage
    coverage = parent.get(keys.COVERAGE + first)
    if coverage is not None:
        rows[keys.COVERAGE + clipped_first] = coverage


def outside(parent: StateStore, child: HashRange) -> Dropped:
    """Return the ranges of rows that a copy of ``parent`` must lose to become the child's."""
    dropped: Dropped = [(prefix, keys.after_prefix(prefix)) for prefix in (*_SMALL, keys.HEAD)]
    foreign = FULL_RANGE.without(child)
    for prefix in (keys.KEYED, keys.TIMER, *_generations(parent)):
        dropped += [keys.rows_of(prefix, part) for part in foreign]
    return dropped


def rows_inside(parent: StateStore, child: HashRange) -> Iterator[Changes]:
    """Return the keyed rows of ``parent`` that are the child's, in portions."""
    portion: Changes = {}
    for prefix in (keys.KEYED, keys.TIMER, *_generations(parent)):
        for row, value in parent.scan(*keys.rows_of(prefix, child)):
            portion[row] = value
            if len(portion) == _COPIED_AT_ONCE:
                yield portion
                portion = {}
    yield portion


def _generations(store: StateStore) -> list[bytes]:
    """Return the prefix of every (horizon table, generation) that has rows."""
    found: list[bytes] = []
    end = keys.after_prefix(keys.HORIZON)
    first = keys.HORIZON
    while True:
        row = next((row for row, _ in store.scan(first, end)), None)
        if row is None:
            return found
        found.append(row[:_GENERATION_BYTES])
        first = keys.after_prefix(row[:_GENERATION_BYTES])
