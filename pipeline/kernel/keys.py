"""How a shard's state is laid out in the ordered keys of its store: the first byte says what a row is.

Everything that belongs to a partition key has the key's hash at a known place, so that a range of hashes is a range
of rows: a split drops the rows outside its range, a merge copies the rows inside it.
"""

from __future__ import annotations

from pipeline.kernel.hashrange import LAST_HASH, HashRange

META = b"m"
PIECE = b"p"  # first hash -> last hash
WATERMARK = b"w"  # first hash of the piece, source -> lineage
TIMER = b"t"  # hash, key -> due, event
CLOSED = b"c"  # first hash of an own range -> last hash, last cycle closed
CUT_OFF = b"o"  # cycle -> time
COVERAGE = b"v"  # first hash of the piece -> last cycle finalised, and per later cycle the ranges covered
BROADCAST = b"b"  # table, key -> version, value
KEYED = b"k"  # hash, table, key -> value
HORIZON = b"g"  # table, generation, hash, key -> value
HEAD = b"h"  # position -> chain head


def rows_of(prefix: bytes, hash_range: HashRange) -> tuple[bytes, bytes]:
    """Return the bounds (first, end) of the rows under ``prefix`` whose hash lies in ``hash_range``."""
    first = prefix + hash_range.first_bytes
    if hash_range.last == LAST_HASH:
        return first, after_prefix(prefix)
    return first, prefix + (hash_range.last + 1).to_bytes(16, "big")


def after_prefix(prefix: bytes) -> bytes:
    """Return the end of the rows that begin with ``prefix``: the next prefix of its length."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")
