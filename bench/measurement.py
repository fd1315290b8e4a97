"""What a process that measured says, in JSON, to the one that asked; and how a process gets itself ready to measure."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass, field
from time import perf_counter, process_time, thread_time
from typing import Final, NamedTuple

from bench.prepared import Prepared


class Spent(NamedTuple):
    """Seconds by the clock, of CPU time of all threads, and of CPU time of the thread that measures."""

    wall: float
    cpu: float
    own: float

    def plus(self, other: Spent) -> Spent:
        """Return what both spent together."""
        return Spent(self.wall + other.wall, self.cpu + other.cpu, self.own + other.own)

    def less(self, other: Spent) -> Spent:
        """Return what was spent from ``other`` to here."""
        return Spent(self.wall - other.wall, self.cpu - other.cpu, self.own - other.own)


NOTHING: Final = Spent(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run over all prepared orders came to."""

    prepared: Prepared
    core: int | None
    """Where the process was pinned to; None where that cannot be done."""
    total: Spent
    authorised: int
    """Orders that went to the clearing."""
    resident_mib_max: float
    phases: dict[str, Spent] = field(default_factory=dict)
    """Of all batches."""
    portions: list[Spent] = field(default_factory=list)
    """Portions of the run with about as many payments each, in order."""
    portion_payments: list[int] = field(default_factory=list)
    """How many those were."""
    step_parts: dict[str, float] = field(default_factory=dict)
    """Seconds inside the step by part, if a stopwatch ran."""


class KclMeasurement(NamedTuple):
    """What the same payments cost both ways."""

    payments: int
    from_the_log: Spent
    from_the_daemon: Spent


def now() -> Spent:
    """Return the time, and the CPU time of this process and of this thread."""
    return Spent(perf_counter(), process_time(), thread_time())


def pin_to_one_core() -> int | None:
    """Pin this process, with every thread it will start, to the last core it may use; return that."""
    if sys.platform != "linux":
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def resident_mib_max() -> float:
    """Return the most memory that this process has had resident so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)
