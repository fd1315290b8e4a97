"""The whole benchmark: two worlds, a clean run and one with a stopwatch in each, and bytewax beside the smaller one.

Every measurement is a fresh process, so that neither what a measurement leaves behind nor what made its world is in its
memory or its caches.  They run one after the other on the same core.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.figures import (
    AuthoriseFigures,
    BytewaxFigures,
    KclFigures,
    bytewax_figures_of,
    figures_of,
    kcl_figures_of,
)
from bench.machine import Machine, load, look_at_machine
from bench.measurement import KclMeasurement, Measurement

T = TypeVar("T")
Tell = Callable[[str], None]
NO_BYTEWAX = "bytewax is not installed, so nothing is compared with it: pip install 'payments-on-streams[bytewax]'"


class BenchFailedError(Exception):
    """A process that prepared or measured did not end well; what it said is on stderr."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    folder: Path
    """For worlds, logs and states; on the disk that is meant to be measured."""
    accounts: int = 10_000
    many_accounts: int = 1_000_000
    claims: int = 10_000_000
    """Dedupe ids in the state of the world with many accounts."""
    payments: int = 300_000
    """In each run: enough for the larger database to compact what was written, which costs more than writing it."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What was measured."""

    authorise: AuthoriseFigures
    authorise_million: AuthoriseFigures
    kcl_child: KclFigures
    bytewax: BytewaxFigures | None
    machine: Machine

    def as_json(self) -> dict[str, Any]:
        """Return the result as one object."""
        few, many = self.authorise, self.authorise_million
        return {
            "authorise": asdict(few),
            "authorise_million": asdict(many),
            "million_over_ten_thousand": round(many.us_per_payment / few.us_per_payment, 2),
            "million_over_ten_thousand_cpu": round(many.cpu_us_per_payment / few.cpu_us_per_payment, 2),
            "resident_mib_max": max(few.resident_mib_max, many.resident_mib_max),
            "kcl_child": asdict(self.kcl_child),
            "bytewax": None if self.bytewax is None else asdict(self.bytewax),
            "machine": asdict(self.machine),
        }


def run_bench(plan: Plan, tell: Tell) -> BenchResult:
    """Measure, and say to ``tell`` what is being done; raise ``BenchFailedError``."""
    load_before = load()
    few, many = plan.folder / "few", plan.folder / "many"
    _prepare(few, plan.accounts, plan.payments, 0, tell)
    authorise = _authorise(few, tell)
    bytewax = None
    if find_spec("bytewax") is None:
        tell(NO_BYTEWAX)
    else:
        tell("the same agents, run by bytewax")
        measured = _measured(Measurement, "bench.bytewax_flow", few)
        bytewax = bytewax_figures_of(measured, authorise, version("bytewax"))
    tell("the same payments, from a daemon as KCL's")
    kcl_child = kcl_figures_of(_measured(KclMeasurement, "bench.kcl_child", few))
    shutil.rmtree(few)
    _prepare(many, plan.many_accounts, plan.payments, plan.claims, tell)
    authorise_million = _authorise(many, tell)
    shutil.rmtree(many)
    return BenchResult(authorise, authorise_million, kcl_child, bytewax, look_at_machine(plan.folder, load_before))


def _prepare(folder: Path, accounts: int, payments: int, claims: int, tell: Tell) -> None:
    tell(f"a world of {accounts:,} accounts, {claims:,} claims and {payments:,} payments")
    counts = {"accounts": accounts, "payments": payments, "claims": claims}
    _run("bench.prepared", str(folder), *(f"--{name}={count}" for name, count in counts.items()))


def _authorise(world: Path, tell: Tell) -> AuthoriseFigures:
    tell("the authorise stage")
    clean = _measured(Measurement, "bench.authorise", world)
    tell("the authorise stage, with a stopwatch inside")
    return figures_of(clean, _measured(Measurement, "bench.authorise", world, "--parts"))


def _measured(what: type[T], module: str, world: Path, *options: str) -> T:
    """Return what ``module`` measured over ``world``, in a process of its own."""
    scratch = world.with_name("scratch")
    measured = _run(module, str(world), str(scratch), *options)
    shutil.rmtree(scratch)
    return msgspec.json.decode(measured, type=what)


def _run(module: str, *arguments: str) -> bytes:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 - a module of our own
    if done.returncode:
        raise BenchFailedError(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout
