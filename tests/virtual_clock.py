"""A clock that stands still until it is told to move."""

from __future__ import annotations

import asyncio

US_PER_SECOND = 1_000_000
SOME_DAY_US = 1_750_000_000 * US_PER_SECOND


class VirtualClock:
    """Time as the test sets it; whoever sleeps moves it."""

    def __init__(self, now_us: int = SOME_DAY_US) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def move(self, us: int) -> int:
        """Go on (or, with a negative number, back) by so many microseconds; return the time then."""
        self._now_us += us
        return self._now_us

    async def sleep(self, seconds: float) -> None:
        self.move(round(seconds * US_PER_SECOND))
        await asyncio.sleep(0)
