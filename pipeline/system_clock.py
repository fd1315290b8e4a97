"""The machine's clock: the only place of the engine that asks the operating system what time it is.

Everything else is given a ``Clock``, so that a test or the simulator can give it another one.
"""

from __future__ import annotations

import asyncio
import time

_NS_PER_US = 1_000


class SystemClock:
    """Wall-clock time, and real waiting."""

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        return time.time_ns() // _NS_PER_US

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        await asyncio.sleep(seconds)
