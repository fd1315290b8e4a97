"""Which part of the key space a shard owns, and what becomes of it when shards split and merge.

Kinesis hashes a record's partition key with MD5 into a 128-bit integer and gives each shard an inclusive range of
those integers.  Everything that belongs to a key - its state, its timers, its watermarks - belongs to the range that
holds the key's hash, so that moving a range moves all of it.

A ``HashRange`` is a value: splitting and joining return new ranges and never change one.  Inside the engine a hash
travels as its 16 big-endian bytes, which sort as the integers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HASH_BYTES = 16
LAST_HASH = (1 << 128) - 1


@lru_cache(maxsize=65_536)
def hash_key(partition_key: str) -> bytes:
    """Return the 128-bit hash that Kinesis gives ``partition_key``, as 16 big-endian bytes."""
    return md5(partition_key.encode(), usedforsecurity=False).digest()


@dataclass(frozen=True, slots=True, order=True)
class HashRange:
    """The hashes from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last <= LAST_HASH:
            message = f"not a hash range: {self.first}..{self.last}"
            raise ValueError(message)

    @classmethod
    def from_bytes(cls, first: bytes, last: bytes) -> HashRange:
        """Return the range between two hashes as they stand in an envelope."""
        return cls(int.from_bytes(first, "big"), int.from_bytes(last, "big"))

    @property
    def first_bytes(self) -> bytes:
        """The first hash as 16 big-endian bytes."""
        return self.first.to_bytes(HASH_BYTES, "big")

    @property
    def last_bytes(self) -> bytes:
        """The last hash as 16 big-endian bytes."""
        return self.last.to_bytes(HASH_BYTES, "big")

    def __contains__(self, hashed: int) -> bool:
        return self.first <= hashed <= self.last

    def __str__(self) -> str:
        return f"{self.first:032x}..{self.last:032x}"

    def covers(self, other: HashRange) -> bool:
        """Say whether all of ``other`` lies inside this range."""
        return self.first <= other.first and other.last <= self.last

    def overlap(self, other: HashRange) -> HashRange | None:
        """Return the hashes that both ranges hold, or None."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        return HashRange(first, last) if first <= last else None

    def without(self, other: HashRange) -> list[HashRange]:
        """Return what is left of this range when ``other`` is taken out: none, one or two ranges, in order."""
        common = self.overlap(other)
        if common is None:
            return [self]
        below = [HashRange(self.first, common.first - 1)] if self.first < common.first else []
        above = [HashRange(common.last + 1, self.last)] if common.last < self.last else []
        return below + above

    def split(self, at: int) -> tuple[HashRange, HashRange]:
        """Return the part below ``at`` and the part from ``at`` on, as SplitShard's NewStartingHashKey does."""
        if not self.first < at <= self.last:
            message = f"{at} does not split {self}"
            raise ValueError(message)
        return HashRange(self.first, at - 1), HashRange(at, self.last)

    def join(self, other: HashRange) -> HashRange:
        """Return the range that both make together; they must touch, as MergeShards demands."""
        low, high = sorted((self, other))
        if low.last + 1 != high.first:
            message = f"{low} and {high} do not touch"
            raise ValueError(message)
        return HashRange(low.first, high.last)

    def divide(self, parts: int) -> list[HashRange]:
        """Return ``parts`` ranges of (almost) equal size that tile this one, as CreateStream does."""
        size = self.last - self.first + 1
        edges = [self.first + size * i // parts for i in range(parts + 1)]
        return [HashRange(low, high - 1) for low, high in pairwise(edges)]


FULL_RANGE = HashRange(0, LAST_HASH)


def missing_from(whole: HashRange, parts: Iterable[HashRange]) -> list[HashRange]:
    """Return what of ``whole`` none of ``parts`` covers, in order; an empty list means that they tile it."""
    missing = []
    seen_to = whole.first
    for first, last in sorted((part.first, part.last) for part in parts):
        if first > whole.last:
            break
        if first > seen_to:
            missing.append(HashRange(seen_to, first - 1))
        seen_to = max(seen_to, last + 1)
    if seen_to <= whole.last:
        missing.append(HashRange(seen_to, whole.last))
    return missing
