"""Chaos on real processes: what is killed, split and merged while payments move, and what the auditor says of it.

Every so many seconds one process is killed with SIGKILL, drawn from a seed: a worker - with it go its daemons and all
their shards -, a daemon of KCL, or the process of one shard.  At a third of the time a shard of the payments is split,
at two thirds two shards of the clearing are merged.  Replies that Kinesis loses are the fault proxy's.

In the end the auditor, which shares no code with the agents, reads the recorded streams and goes through every order
and every posting.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

from agents.edge.database import read_only
from agents.edge.generator import FILE as GENERATOR_FILE
from agents.edge.workload import control
from agents.streams import ALL_STREAMS, CLEARING, PAYMENTS
from chaos.auditor.audit import problems_of_recording
from chaos.auditor.invariants import Invariant, Problem
from chaos.auditor.participants import Participants
from demo.fleet import Fleet
from demo.lag import health
from demo.run import WORKERS, Plan
from demo.stack.orders import orders_of
from demo.stack.recording import LogRecording
from pipeline.ports import Clock, Log

WORKER, DAEMON, SHARD = "worker", "daemon", "shard"
_LOOK_SECONDS = 0.2


@dataclass
class ChaosResult:
    """What was done, and what came of it."""

    killed: Counter[str] = field(default_factory=Counter)
    resharded: list[str] = field(default_factory=list)
    audited: int = 0
    """Orders that the auditor went through."""
    problems: Sequence[Problem] = ()

    @property
    def lost(self) -> int:
        """Return how many of the problems are an order that has not ended as it may."""
        return sum(problem.invariant is Invariant.ENDS_ONCE for problem in self.problems)

    @property
    def twice(self) -> int:
        """Return how many of the problems are a payment that settled, or was credited, twice."""
        return sum(problem.invariant is Invariant.SETTLES_AT_MOST_ONCE for problem in self.problems)

    def as_json(self) -> dict[str, object]:
        """Return what ``payments chaos --json`` prints beside the report."""
        return {
            "killed": dict(self.killed),
            "resharded": self.resharded,
            "audited": self.audited,
            "lost": self.lost,
            "twice": self.twice,
            "problems": [f"{problem.invariant.value}: {problem.text}" for problem in self.problems],
        }


class Chaos:
    """A ``Disturbance`` of a run on Kinesis."""

    def __init__(self, plan: Plan, clock: Clock, kill_seconds: float, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._clock = clock
        self._kill_seconds = kill_seconds
        self._tell = tell
        self._random = Random(plan.seed)
        self.result = ChaosResult()

    async def disturb(self, fleet: Fleet, ports: Mapping[str, int], log: Log) -> None:
        """Kill and reshard while payments are submitted."""
        generator = fleet.member("generator")
        await self._until_submitting(self._plan.folder / "generator" / GENERATOR_FILE)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reshard(log))
            while not generator.done:
                await self._clock.sleep(self._kill_seconds)
                if not generator.done:
                    await self._kill(fleet, ports)

    async def judge(self, log: Log) -> None:
        """Have the auditor read everything."""
        recording = LogRecording()
        await recording.take(log, ALL_STREAMS)
        self.result.problems = await asyncio.to_thread(lambda: list(self._problems(recording)))

    def _problems(self, recording: LogRecording) -> Iterator[Problem]:
        plan, participants = self._plan, Participants.of(control.listings())
        ordered = orders_of(recording, plan.seed, plan.count, plan.folder / "participants", participants)
        self.result.audited = len(ordered.orders)
        yield from ordered.problems
        orders = ordered.orders
        yield from problems_of_recording(recording, orders, list(orders), ordered.garbage, participants)

    async def _until_submitting(self, generator: Path) -> None:
        """Return when the first payments are there: before that nobody knows the participants."""
        while not _has_begun(generator):
            await self._clock.sleep(_LOOK_SECONDS)

    async def _kill(self, fleet: Fleet, ports: Mapping[str, int]) -> None:
        """Kill one process; which kind is drawn first, so that each is as frequent."""
        victims = await asyncio.to_thread(_victims, fleet, ports)
        kind = self._random.choice(sorted(victims))
        name, pid = self._random.choice(victims[kind])
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended by itself, with its daemon
        self.result.killed[kind] += 1
        self._tell(f"kill -9 {name}, process {pid}")

    async def _reshard(self, log: Log) -> None:
        await self._clock.sleep(self._plan.seconds / 3)
        whole = next(shard for shard in await log.shards(PAYMENTS) if not shard.closed)
        middle = (whole.hash_range.first + whole.hash_range.last) // 2
        await log.split(PAYMENTS, whole.shard_id, middle)
        self._resharded(f"split {PAYMENTS}/{whole.shard_id}")
        await self._clock.sleep(self._plan.seconds / 3)
        open_shards = [shard for shard in await log.shards(CLEARING) if not shard.closed]
        by_range = sorted(open_shards, key=lambda shard: shard.hash_range)
        one, other = next(iter(pairwise(by_range)))
        await log.merge(CLEARING, one.shard_id, other.shard_id)
        self._resharded(f"merged {CLEARING}/{one.shard_id} and {other.shard_id}")

    def _resharded(self, what: str) -> None:
        self.result.resharded.append(what)
        self._tell(what)


def _has_begun(generator: Path) -> bool:
    """Say whether the generator has noted a batch; it makes its tables when it starts."""
    if not generator.exists():
        return False
    connection = read_only(generator)
    try:
        return connection.execute("SELECT 1 FROM batches").fetchone() is not None
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()


def _victims(fleet: Fleet, ports: Mapping[str, int]) -> dict[str, list[tuple[str, int]]]:
    """Return name and process of whatever runs of each kind."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name in WORKERS:
        process = fleet.member(name).process
        if process is not None and process.poll() is None:
            found.setdefault(WORKER, []).append((f"worker {name}", process.pid))
        said = health(ports[name])
        for daemon in said.get("daemons", ()):
            if daemon["pid"]:
                found.setdefault(DAEMON, []).append((f"daemon of {daemon['stage']}", daemon["pid"]))
        for shard in said.get("shards", ()):
            found.setdefault(SHARD, []).append((f"shard {shard['stage']}/{shard['shard']}", shard["pid"]))
    return found
