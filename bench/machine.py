"""Where it was measured: figures without their machine mean nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.kernel import machine

COMPILED: Final = not str(machine.__file__).endswith(".py")
"""Whether ``make compiled`` was run here: the step is native code then, and a stopwatch sees less of it."""
_MOUNTS = Path("/proc/mounts")
_PROCESSOR = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, and how busy it was."""

    cpu: str
    cores: int
    python: str
    compiled: bool
    """Whether what a step consists of runs as native code."""
    system: str
    filesystem: str
    """Under the folder that was measured in; in memory (tmpfs) a sync costs nothing, and the figures are too good."""
    load_before: float
    """Processes that wanted a core in the last minute, before the measurement and after it: above 1, and on a core that
    others wanted, the figures by the clock say more about them than about us."""
    load_after: float


def look_at_machine(folder: Path, load_before: float) -> Machine:
    """Return the machine that this runs on."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 0,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        compiled=COMPILED,
        system=f"{platform.system()} {platform.release()}",
        filesystem=_filesystem(folder.resolve()),
        load_before=load_before,
        load_after=load(),
    )


def load() -> float:
    """Return how many processes wanted a core in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def _cpu() -> str:
    """Return the processor's name: Linux tells ``platform`` only its architecture."""
    if _PROCESSOR.exists():
        for line in _PROCESSOR.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _filesystem(folder: Path) -> str:
    """Return the type of the file system that ``folder`` is on."""
    if not _MOUNTS.exists():
        return "unknown"
    mounts = [line.split()[1:3] for line in _MOUNTS.read_text().splitlines()]
    holding = [(len(place), kind) for place, kind in mounts if folder.is_relative_to(place)]
    return max(holding)[1] if holding else "unknown"
