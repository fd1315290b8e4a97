"""Who pays for a moment: the innermost part, and nobody while the watch stands still."""

from __future__ import annotations

from itertools import count

import pytest

from bench import stopwatch
from bench.parts import watched_engine
from bench.stopwatch import REST, Stopwatch
from pipeline.kernel import audit_chain, machine
from pipeline.kernel.agent import Context


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> count[int]:
    """Let every look at the clock be a second after the last one."""
    seconds = count()
    monkeypatch.setattr(stopwatch, "perf_counter", lambda: float(next(seconds)))
    return seconds


@pytest.mark.usefixtures("ticks")
def test_the_innermost_part_pays() -> None:
    watch = Stopwatch()
    inner = watch.part("inner", lambda: None)
    outer = watch.part("outer", inner)

    watch.start()
    outer()
    watch.stop()

    assert watch.spent == {REST: 2.0, "outer": 2.0, "inner": 1.0}


def test_nobody_pays_while_the_watch_stands_still(ticks: count[int]) -> None:
    watch = Stopwatch()
    for _ in range(3):
        watch.start()
        watch.stop()
        next(ticks)

    assert watch.spent == {REST: 3.0}


@pytest.mark.usefixtures("ticks")
def test_what_was_cleared_is_not_counted() -> None:
    watch = Stopwatch()
    watch.part("early", lambda: None)()
    watch.clear()

    watch.start()
    watch.stop()

    assert watch.spent == {REST: 1.0}


def test_a_part_that_raises_has_paid_and_hands_back() -> None:
    watch = Stopwatch()

    def fail() -> None:
        raise LookupError

    failing = watch.part("failing", fail)
    watch.start()
    with pytest.raises(LookupError):
        failing()
    watch.stop()

    assert set(watch.spent) == {REST, "failing"}


def test_what_handing_over_costs_is_not_told() -> None:
    watch = Stopwatch()
    nothing = watch.part("nothing", lambda: None)
    watch.start()
    for _ in range(1_000):
        nothing()
    watch.stop()

    assert sum(watch.seconds().values()) < sum(watch.spent.values())


def places() -> list[object]:
    """Return what stands where the engine is watched."""
    return [vars(machine)["decode"], Context.emit, Context.broadcast, audit_chain.advance]


def test_the_engine_is_as_before_once_it_is_not_watched() -> None:
    before = places()

    with watched_engine(Stopwatch()):
        during = places()

    assert all(one is not other for one, other in zip(before, during, strict=True))
    assert places() == before
