"""Virtual time: it stands still until the world moves it, and whoever waits says until when.

A coroutine of the world yields what it waits for: None for nothing but its turn, a number for a time in microseconds,
or a function that says whether it may go on.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
START_US: Final = 1_764_000_000 * SECOND_US

Condition = Callable[[], bool]
WaitsFor = int | Condition | None


@dataclass(frozen=True, slots=True)
class Until:
    """Awaited, it gives the turn away until ``waits_for`` holds."""

    waits_for: WaitsFor

    def __await__(self) -> Generator[WaitsFor, None, None]:
        yield self.waits_for


NEXT_TURN: Final = Until(None)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing but its turn to its end at once, and return what it returned."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result


class VirtualTime:
    """The time of the world; also a ``Clock``, without skew."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        """Return the time."""
        return self.us

    async def sleep(self, seconds: float) -> None:
        """Return once the world has moved on by ``seconds``."""
        await Until(self.us + round(seconds * SECOND_US))


class MachineClock:
    """The clock of one machine, ahead or behind by ``skew_us``."""

    def __init__(self, time: VirtualTime, skew_us: int) -> None:
        self._time = time
        self.skew_us = skew_us

    def now_us(self) -> int:
        """Return what this machine takes for the time."""
        return self._time.us + self.skew_us

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``: a clock that is wrong still runs at the right pace."""
        await self._time.sleep(seconds)
