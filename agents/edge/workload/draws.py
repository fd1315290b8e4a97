"""Numbers drawn from a seed and a path, the same on every machine, Python and run.

Python's own generator costs more to seed than a payment costs to make, and promises the same numbers only for
``random()``.  Here a name like ``7/order/1234`` is hashed, and the digest is dealt out eight bytes at a time.  So the
thousandth payment can be drawn without drawing the 999 before it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

TEN_THOUSAND = 10_000
_DRAW_BYTES = 8
_TOKEN_BYTES = 16
_PADDING_BITS = 2  # 128 bits and these make 26 digits of 5 bits
_PAIR_MASK = (1 << 10) - 1
_PAIR_SHIFTS = range(120, -1, -10)
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]


class Draws:
    """Independent draws under one name."""

    __slots__ = ("_at", "_block", "_name")

    def __init__(self, seed: int, *path: str | int) -> None:
        self._name = "/".join(map(str, (seed, *path))).encode()
        self._block = blake2b(self._name).digest()
        self._at = 0

    def raw(self, count: int) -> bytes:
        """Return ``count`` bytes, at most 64."""
        if self._at + count > len(self._block):
            self._block = blake2b(self._block, key=self._name[:64]).digest()
            self._at = 0
        self._at += count
        return self._block[self._at - count : self._at]

    def below(self, limit: int) -> int:
        """Return an integer from 0 up to, but not with, ``limit``; the bias is below 2**-40 for limits here."""
        return int.from_bytes(self.raw(_DRAW_BYTES), "big") * limit >> 64

    def between(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def small(self, limit: int) -> int:
        """Return an integer below ``limit``, a small one far more often than a large one."""
        return min(self.below(limit), self.below(limit), self.below(limit))

    def happens(self, per_ten_thousand: int) -> bool:
        """Say yes ``per_ten_thousand`` times of ten thousand."""
        return self.below(TEN_THOUSAND) < per_ten_thousand

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of ``choices``."""
        return choices[self.below(len(choices))]

    def token(self) -> str:
        """Return 26 characters of base 32, lower case."""
        number = int.from_bytes(self.raw(_TOKEN_BYTES), "big") << _PADDING_BITS
        return "".join([_PAIRS[number >> shift & _PAIR_MASK] for shift in _PAIR_SHIFTS])

    def uetr(self) -> str:
        """Return a UUID of version 4, as the schemes demand of a UETR."""
        return str(UUID(bytes=self.raw(_TOKEN_BYTES), version=4))
