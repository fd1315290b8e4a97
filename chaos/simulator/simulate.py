"""Runs seeds, has each audited, and says what came of them.

The same seed gives the same run, to the byte: ``SeedResult.digest`` is over every record of every stream.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from agents.streams import ALL_STREAMS
from chaos.auditor.audit import problems_of_recording
from chaos.auditor.invariants import Breach, Invariant, Problem
from chaos.auditor.participants import Participants
from chaos.auditor.replay import Live, Replay
from chaos.simulator.faults import Fault, Recovery
from chaos.simulator.owner import Engine
from chaos.simulator.world import World
from chaos.virtual_time import SECOND_US, START_US
from chaos.workload import listings
from pipeline.ports import Record, ShardDescription

ENGINE: Final = Engine()
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
SCRATCH: Final = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
"""Where worlds have their folders; None for where the system has temporary ones."""
COVERING_SEEDS: Final = 100
"""In so many seeds every fault and every recovery must have happened."""
_PROBLEMS_MAX: Final = 20
"""Of one seed, that are told."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What came of one seed."""

    seed: int
    payments: int
    settled: int
    virtual_us: int
    faults: Counter[Fault]
    recoveries: Counter[Recovery]
    problems: list[Problem]
    digest: str
    """SHA-256 over everything that the log has taken; empty if the world did not come to rest."""
    trace: list[str] = field(default_factory=list)
    """What happened last, if something is wrong."""


@dataclass(frozen=True, slots=True)
class _Archive:
    """Everything that a world's log has ever taken."""

    world: World

    def shards_of(self, stream: str) -> Sequence[ShardDescription]:
        return self.world.log.shards_of(stream)

    def records_of(self, stream: str, shard_id: str) -> Sequence[Record]:
        return self.world.log.archive.get((stream, shard_id), ())


def simulate(
    seed: int,
    payments: int,
    engine: Engine = ENGINE,
    trace_lines: int = 60,
    kind: type[World] = World,
    scratch_in: Path | None = SCRATCH,
) -> SeedResult:
    """Run the world of ``seed``, of the ``kind`` that there is or of one's own, with so many orders, and audit it."""
    with TemporaryDirectory(prefix="payments-simulate-", dir=scratch_in) as scratch:
        world = kind(seed, payments, Path(scratch), engine)
        digest = ""
        try:
            world.run()
            digest = _digest_of(world)
            problems = list(_audit(world, Path(scratch)))
        except Breach as failure:
            problems = [failure.problem]
        except Exception as failure:  # noqa: BLE001 - whatever the product raises is a finding, and has a seed
            problems = [Problem(Invariant.OWN_CHECKS, f"{type(failure).__name__}: {failure}")]
        finally:
            world.close()
    return SeedResult(
        seed=seed,
        payments=len(world.edges.workload.orders),
        settled=len(world.edges.settled),
        virtual_us=world.time.us - START_US,
        faults=world.odds.fired,
        recoveries=world.odds.recovered,
        problems=problems[:_PROBLEMS_MAX],
        digest=digest,
        trace=_told(world, trace_lines) if problems else [],
    )


def _audit(world: World, scratch: Path) -> Iterator[Problem]:
    edges, archive = world.edges, _Archive(world)
    participants = Participants.of(listings())
    yield from problems_of_recording(archive, edges.workload.orders, list(edges.sent), edges.garbage, participants)
    current = world.fleet.current()
    for name, stage in world.builds.new.items():
        live = {
            shard_id: Live(owner.shard.committed, owner.shard.store)
            for (of, shard_id), owner in current.items()
            if of == name and owner.shard is not None
        }
        ended = {
            manifest.shard_id: manifest.chain_head
            for manifest in world.snapshots.all()
            if manifest.ended and manifest.stage == name
        }
        yield from Replay(stage, world.log, archive, scratch / "replay").problems(live, ended)


def _digest_of(world: World) -> str:
    digest = sha256()
    for stream in ALL_STREAMS:
        for shard in world.log.shards_of(stream):
            digest.update(repr((stream, shard)).encode())
            for record in world.log.archive.get((stream, shard.shard_id), ()):
                digest.update(repr(record).encode())
    return digest.hexdigest()


def _told(world: World, lines: int) -> list[str]:
    return [f"{(us - START_US) / SECOND_US:12.3f} s  {text}" for us, text in list(world.trace)[-lines:]]


@dataclass
class Sweep:
    """What came of many seeds."""

    seeds: int = 0
    payments: int = 0
    settled: int = 0
    virtual_us: int = 0
    resharded: int = 0
    """Seeds with at least one split and one merge."""
    faults: Counter[Fault] = field(default_factory=Counter)
    recoveries: Counter[Recovery] = field(default_factory=Counter)
    failed: list[SeedResult] = field(default_factory=list)

    def add(self, result: SeedResult) -> None:
        """Take one more seed in."""
        self.seeds += 1
        self.payments += result.payments
        self.settled += result.settled
        self.virtual_us += result.virtual_us
        self.resharded += result.faults[Fault.SPLIT] > 0 and result.faults[Fault.MERGE] > 0
        self.faults.update(result.faults)
        self.recoveries.update(result.recoveries)
        if result.problems:
            self.failed.append(result)

    @property
    def never(self) -> list[str]:
        """The faults and recoveries that never happened: what they would show was not tested."""
        return [
            *(str(fault) for fault in Fault if not self.faults[fault]),
            *(str(recovery) for recovery in Recovery if not self.recoveries[recovery]),
        ]

    @property
    def good(self) -> bool:
        """Say whether every invariant held, and whether so many seeds have shown everything that there is to show."""
        return not self.failed and (self.seeds < COVERING_SEEDS or not self.never)

    def as_json(self) -> dict[str, Any]:
        """Return the sweep as one object."""
        violated = {problem.invariant for result in self.failed for problem in result.problems}
        return {
            "seeds": self.seeds,
            "failed_seeds": [result.seed for result in self.failed],
            "payments": self.payments,
            "settled": self.settled,
            "seeds_with_split_and_merge": self.resharded,
            "virtual_seconds": self.virtual_us // SECOND_US,
            "faults": {str(fault): self.faults[fault] for fault in Fault},
            "recoveries": {str(recovery): self.recoveries[recovery] for recovery in Recovery},
            "never": self.never,
            "invariants": {invariant.value: "violated" if invariant in violated else "held" for invariant in Invariant},
        }


def sweep(seeds: Sequence[int], payments: int, processes: int | None, tell: Callable[[SeedResult], None]) -> Sweep:
    """Run all ``seeds``, in so many processes (default: one a core), and tell of each when it is done.

    An exception, Ctrl-C too, ends the processes at once; so what they had in their folders is removed here.
    """
    total = Sweep()
    workers = min(processes or os.cpu_count() or 1, len(seeds))
    with TemporaryDirectory(prefix="payments-sweep-", dir=SCRATCH) as scratch, _processes(workers) as pool:
        for result in pool.map(partial(_simulate_and_forget, Path(scratch), payments), seeds):
            total.add(result)
            tell(result)
    return total


@contextmanager
def _processes(count: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_prepare_process)
    try:
        yield pool
    except BaseException:
        for process in list(pool._processes.values()):  # noqa: SLF001 - terminate_workers() from Python 3.14 on
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def be_quiet() -> None:
    """Let what the engine tells of damaged snapshots and the like be told by the trace alone."""
    logging.disable(logging.CRITICAL)


def _prepare_process() -> None:
    """Be quiet, and leave cycles of objects alone while a world lives: it is gone in a few seconds, whole.

    Ctrl-C is for the process that waits for this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_quiet()
    gc.disable()
    gc.freeze()


def _simulate_and_forget(scratch_in: Path, payments: int, seed: int) -> SeedResult:
    result = simulate(seed, payments, scratch_in=scratch_in)
    gc.collect()
    return result
