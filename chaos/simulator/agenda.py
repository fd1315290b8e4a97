"""What is planned: actions in the order of their times, and of their planning where times are equal."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from chaos.virtual_time import VirtualTime

Action = Callable[[], None]


class Agenda:
    """The only thing that makes time jump."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._planned: list[tuple[int, int, Action]] = []
        self._number = 0

    def after(self, us: int, action: Action) -> None:
        """Plan ``action`` for ``us`` from now."""
        self._number += 1
        heappush(self._planned, (self._time.us + us, self._number, action))

    def jump(self) -> None:
        """Move time on to what is planned next, if anything is."""
        if self._planned:
            self._time.us = max(self._time.us, self._planned[0][0])

    def run_due(self) -> None:
        """Do what is planned for now, or was for earlier."""
        while self._planned and self._planned[0][0] <= self._time.us:
            heappop(self._planned)[2]()

    def clear(self) -> None:
        """Plan nothing any more."""
        self._planned.clear()
