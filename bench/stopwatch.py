"""Where the time goes inside one call: a stopwatch that the parts of it hand to each other.

One part runs at a time, and the innermost one pays.  Handing over costs something itself, some of it on either side; it
is measured how much, and taken off, or else small parts that run often would look large.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Final, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

REST: Final = "rest"
"""Who pays while no part runs."""
_ROUNDS, _CALLS_A_ROUND = 50, 1_000


class Stopwatch:
    """Seconds by part, between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        """With what handing over cost."""
        self._handed_over: dict[tuple[str, str], int] = defaultdict(int)
        self._running = REST
        self._since = 0.0

    def part(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """Return ``function`` with its time paid by the part ``name``."""
        spent, handed_over = self.spent, self._handed_over

        @wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            around = self._running
            handed_over[name, around] += 1
            self._running = name
            now = perf_counter()
            spent[around] += now - self._since
            self._since = now
            try:
                return function(*args, **kwargs)
            finally:
                now = perf_counter()
                spent[name] += now - self._since
                self._since = now
                self._running = around

        return timed

    def clear(self) -> None:
        """Forget all that was spent so far."""
        self.spent.clear()
        self._handed_over.clear()

    def start(self) -> None:
        """Let the rest pay from now on."""
        self._since = perf_counter()

    def stop(self) -> None:
        """Let nobody pay until the next ``start``."""
        self.spent[self._running] += perf_counter() - self._since

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part, and of the rest, without what handing over cost."""
        cost = _cost_of_handing_over()
        seconds = dict(self.spent)
        for (name, around), count in self._handed_over.items():
            seconds[name] -= count * cost.inside
            seconds[around] -= count * cost.outside
        return {name: max(spent, 0.0) for name, spent in seconds.items()}


class _Cost(NamedTuple):
    """Seconds that one timed call costs the part that runs, and those that it costs the part around it."""

    inside: float
    outside: float


def _cost_of_handing_over() -> _Cost:
    """Return the least that was found in many rounds: a disturbance only ever adds."""
    rounds = [_one_round() for _ in range(_ROUNDS)]
    return _Cost(min(cost.inside for cost in rounds), min(cost.outside for cost in rounds))


def _one_round() -> _Cost:
    def nothing(_argument: object) -> None:
        return None

    watch = Stopwatch()
    timed = watch.part("nothing", nothing)
    watch.start()
    for _ in range(_CALLS_A_ROUND):
        timed(None)
    watch.stop()
    before = perf_counter()
    for _ in range(_CALLS_A_ROUND):
        nothing(None)
    bare = perf_counter() - before  # the call itself, which is nobody's overhead
    return _Cost(max(watch.spent["nothing"] - bare, 0.0) / _CALLS_A_ROUND, watch.spent[REST] / _CALLS_A_ROUND)
