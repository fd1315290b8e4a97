"""How long to wait before trying again: full jitter, so that those who were turned away together do not come together.

A try that follows ``n`` failures waits for a random part of ``first * 2**n`` seconds, at most ``longest``.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 2.0
_DOUBLINGS_MAX = 30
_RANDOM = Random()  # noqa: S311 - spreads load, hides nothing


class Backoff:
    """Waits of one caller, from one success to the next."""

    __slots__ = ("_draw", "_first", "_longest", "failures")

    def __init__(
        self,
        first_seconds: float = FIRST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        draw: Callable[[], float] = _RANDOM.random,
    ) -> None:
        """Draw from ``draw``, which gives numbers from 0 to 1."""
        self._first = first_seconds
        self._longest = longest_seconds
        self._draw = draw
        self.failures = 0
        """Since the last success."""

    def failed(self) -> float:
        """Note a failure; return the seconds to wait."""
        longest: float = min(self._longest, self._first * 2 ** min(self.failures, _DOUBLINGS_MAX))
        self.failures += 1
        return longest * self._draw()

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
