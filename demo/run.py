"""One run of the whole system: start it, watch it until every payment is accounted for, stop it, and prove it.

    generator -> payments -> clearing -> outbound -> participants
                                      -> outcomes -> projector, RTGS

What the run keeps is in one folder, what it stands on is its site's.  On the embedded log a run that was interrupted -
or whose processes were all killed - goes on when it is started again with the same folder; its payments are those of
its seed, submitted up to the same number.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

from agents.edge.projector_queries import Counts, Limbo, Net
from agents.edge.simulated_clients import SUMS
from agents.streams import ALL_STREAMS, CONTROL
from agents.topology import AUTHORISE, SETTLE
from agents.topology import CONTROL as CONTROL_STAGE
from demo.errors import RunError
from demo.fleet import Fleet, Member
from demo.folder import hold, require_options
from demo.lag import ShardLag, ask, free_port
from demo.latencies import Latencies, RecentRate
from demo.observer import DECISION, SETTLED, Observer
from demo.participants import Ends
from demo.report import CyclePosition, Report
from demo.site import EmbeddedSite, Site
from pipeline.ports import Clock, Log, Manifest
from pipeline.stream_logs.naming import OpenLog
from replay.verify import ShardVerdict, verify_stage

START_SECONDS_MAX = 300.0
"""Until all shards have owners."""
LOOK_SECONDS = 0.02
CHECK_SECONDS = 0.25
RECENT_SECONDS = 5.0
"""What the rates and latencies of the live view look back on."""
WORKERS = {"authorise": (CONTROL_STAGE, AUTHORISE), "settle": (SETTLE,)}
"""The worker processes, and the stages that each runs."""


class StartError(RunError):
    """Shards were without owners when the time to start was over."""


class DrainError(RunError):
    """Payments were still without an outcome, or cycles without their nets, when the time to drain was over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    folder: Path
    seconds: float
    payments_per_second: float
    shards: int
    seed: int
    cycle_seconds: float = 5.0
    gateway: bool = False
    """Payments come in over HTTP, from simulated clients; otherwise a generator appends them."""

    @property
    def count(self) -> int:
        """How many payments to submit."""
        return round(self.seconds * self.payments_per_second)

    @property
    def options(self) -> Mapping[str, float]:
        """What makes the run the one that it is, by the names that people give it."""
        return {
            "--seconds": self.seconds,
            "--tps": self.payments_per_second,
            "--shards": self.shards,
            "--seed": self.seed,
            "cycle seconds": self.cycle_seconds,
            "--gateway": self.gateway,
        }

    @property
    def log_folder(self) -> Path:
        """Where the log is, if it is the embedded one."""
        return self.folder / "log"


@dataclass(frozen=True, slots=True)
class Progress:
    """What can be seen while it runs."""

    seconds: float
    counts: Counts
    limbo: Sequence[Limbo]
    submitted_per_second: float
    """Over the last few seconds, as are the next three."""
    settled_per_second: float
    decision: Latencies
    settled: Latencies
    lags: Sequence[ShardLag]
    restarts: int
    phase: str


class Disturbance(Protocol):
    """What is done to a run from outside, and said of it by somebody else."""

    async def disturb(self, fleet: Fleet, ports: Mapping[str, int], log: Log) -> None:
        """Disturb the processes, whose workers show their health on ``ports``, or the log, until cancelled."""

    async def judge(self, log: Log) -> None:
        """Look at the log when every process has stopped."""


class Demo:
    """One run."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        show: Callable[[Progress], None],
        site: Site | None = None,
        disturbance: Disturbance | None = None,
    ) -> None:
        """Run ``plan`` at ``site``, on the embedded log if no other is given, and let nothing disturb it if none is."""
        self._plan = plan
        self._clock = clock
        self._show = show
        self._site = site or EmbeddedSite(plan.folder, clock)
        self._disturbance = disturbance
        self._started_us = clock.now_us()
        self._submitting, self._settling = RecentRate(RECENT_SECONDS), RecentRate(RECENT_SECONDS)
        for folder in ("processes", "observer"):
            (plan.folder / folder).mkdir(parents=True, exist_ok=True)
        self.ports = {name: free_port() for name in WORKERS}
        """Where each worker shows its health."""
        self.fleet = Fleet(_members(plan, self._site, self.ports, Ends.in_folder(plan.folder)))

    async def run(self) -> Report:
        """Run it and return what came of it."""
        async with self.running() as log:
            observer = Observer(log, self._clock, self._plan.folder / "observer")
            try:
                return await self._prove(log, observer)
            finally:
                observer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[OpenLog]:
        """Have everything running, and give the log; in the end whatever still runs is killed."""
        async with hold(self._plan.folder, self._clock) as lock:
            require_options(self._plan.folder, self._plan.options)
            self.fleet.inherited = self._site.services.inherited = (lock,)
            async with self._site.prepared():
                log = self._site.open_log()
                try:
                    await self._create_streams(log)
                    await self._start(log)
                    yield log
                finally:
                    self.fleet.kill_all()
                    log.close()

    async def _prove(self, log: Log, observer: Observer) -> Report:
        if self._disturbance is None:
            await self._watch(observer)
        else:
            await self._watch_disturbed(observer, log, self._disturbance)
        await self._stop(log)
        while await observer.look():
            pass
        verdicts = await self._verify(log, observer)
        if self._disturbance is not None:
            await self._tell(observer, "auditing")
            await self._disturbance.judge(log)
        return await self._report(observer, verdicts)

    async def _create_streams(self, log: Log) -> None:
        for stream in ALL_STREAMS:
            await log.create_stream(stream, 1 if stream == CONTROL else self._plan.shards)

    async def _start(self, log: Log) -> None:
        """Start every process; the generator when all shards have their owners, since orders do not wait for long."""
        generator = self.fleet.member("generator")
        self.fleet.start(but=[member for member in self.fleet.members if member.ends_by_itself])
        until_us = self._until_us(START_SECONDS_MAX)
        for name in WORKERS:
            while not await self._owned(self.fleet.member(name), log):
                self.fleet.look_after()
                if self._clock.now_us() > until_us:
                    words = self.fleet.member(name).last_words()
                    raise StartError(f"{name} does not own its shards after {START_SECONDS_MAX:.0f} s:\n{words}")
                await self._clock.sleep(LOOK_SECONDS)
        generator.start(self.fleet.inherited)
        if self._plan.gateway:
            await self._start_clients(generator)

    async def _start_clients(self, generator: Member) -> None:
        """Start the clients when the generator, which submits nothing itself here, has told everybody the directory."""
        until_us = self._until_us(START_SECONDS_MAX)
        while not generator.done:
            self.fleet.look_after()
            if self._clock.now_us() > until_us:
                words = generator.last_words()
                raise StartError(f"shards do not know the directory after {START_SECONDS_MAX:.0f} s:\n{words}")
            await self._clock.sleep(LOOK_SECONDS)
        self.fleet.member("clients").start(self.fleet.inherited)

    async def _owned(self, worker: Member, log: Log) -> list[ShardLag]:
        """Return the shards of ``worker``, if these are all that are open."""
        listed = [shard for stage in WORKERS[worker.name] for shard in await log.shards(stage.source_stream)]
        lags = await asyncio.to_thread(ask, self.ports[worker.name])
        return lags if len(lags) == sum(not shard.closed for shard in listed) else []

    def _until_us(self, seconds: float) -> int:
        return self._clock.now_us() + round(seconds * 1_000_000)

    async def _watch_disturbed(self, observer: Observer, log: Log, disturbance: Disturbance) -> None:
        disturbing = asyncio.create_task(disturbance.disturb(self.fleet, self.ports, log))
        try:
            await self._watch(observer)
        finally:
            disturbing.cancel()
            with suppress(asyncio.CancelledError):
                await disturbing

    async def _watch(self, observer: Observer) -> None:
        """Look at the streams and after the processes until everything is accounted for."""
        checked_us = 0
        drain_until_us = None
        while True:
            if not await observer.look():
                await self._clock.sleep(LOOK_SECONDS)
            now_us = self._clock.now_us()
            if now_us - checked_us < CHECK_SECONDS * 1_000_000:
                continue
            checked_us = now_us
            self._site.services.look_after()
            self.fleet.look_after()
            submitted_all = all(member.done for member in self.fleet.members if member.ends_by_itself)
            await self._tell(observer, "draining" if submitted_all else "submitting")
            if not submitted_all:
                continue
            if await self._is_drained(observer):
                return
            drain_until_us = drain_until_us or self._until_us(self._site.drain_seconds_max)
            if now_us > drain_until_us:
                raise DrainError(await self._what_is_missing(observer))

    async def _is_drained(self, observer: Observer) -> bool:
        """Say whether every record has its outcome, and every settled payment is in the nets of its cycle."""
        async with self._site.books() as queries:
            if queries is None:
                return False
            counts = queries.counts()
            if counts.submitted != observer.submitted or counts.in_flight != 0:
                return False
            return _without_zeros(queries.nets()) == _without_zeros(queries.expected_nets())

    async def _what_is_missing(self, observer: Observer) -> str:
        async with self._site.books() as queries:
            if queries is None:
                return "the projector has written nothing"
            counts = queries.counts()
            told, expected = _without_zeros(queries.nets()), _without_zeros(queries.expected_nets())
        differing = sorted(set(told.items()) ^ set(expected.items()))
        missing = [
            f"not drained {self._site.drain_seconds_max:.0f} s after the last submission",
            f"{observer.submitted:,} submitted, {counts.submitted:,} of them read by the projector",
            f"{counts.in_flight:,} of these without an outcome",
        ]
        if differing:
            missing.append(f"{len(differing)} nets differ from their payments', the first {differing[0]}")
        return "; ".join(missing)

    async def _stop(self, log: Log) -> None:
        """Stop every process in order; a worker that is killed meanwhile is started again: it owes its snapshots."""
        left = list(self.fleet.members)
        while left:
            member, stopped = left[-1], False
            while not stopped:
                if member.name in WORKERS:
                    for worker in (each for each in left if each.name in WORKERS):
                        await self._let_catch_up(worker, log)
                stopped = self.fleet.stop(member) or member.name not in WORKERS
            left.pop()

    async def _let_catch_up(self, worker: Member, log: Log) -> None:
        """Return when ``worker`` has all open shards and has read them: it may have been killed just now.

        Who writes to its streams has stopped, or has caught up.  What it writes to them itself is read as well.
        """
        for _ in WORKERS[worker.name]:
            await self._let_read(worker, log, await self._ends(worker, log))

    async def _ends(self, worker: Member, log: Log) -> Mapping[tuple[str, str], int]:
        """Return where the open shards of ``worker`` end now, by stage and shard."""
        return {
            (stage.name, shard.shard_id): await log.latest(stage.source_stream, shard.shard_id)
            for stage in WORKERS[worker.name]
            for shard in await log.shards(stage.source_stream)
            if not shard.closed
        }

    async def _let_read(self, worker: Member, log: Log, ends: Mapping[tuple[str, str], int]) -> None:
        until_us = self._until_us(self._site.drain_seconds_max)
        while self._clock.now_us() < until_us:
            self.fleet.revive(worker)
            lags = await self._owned(worker, log)
            if lags and all(lag.read_to >= ends.get((lag.stage, lag.shard), 0) for lag in lags):
                return
            await self._clock.sleep(LOOK_SECONDS)
        message = f"{worker.name} has not caught up in {self._site.drain_seconds_max:.0f} s"
        raise DrainError(f"{message}:\n{worker.last_words()}")

    async def _verify(self, log: Log, observer: Observer) -> list[ShardVerdict]:
        """Replay every stage from its recorded stream, and compare with the snapshots that the workers left."""
        verdicts: list[ShardVerdict] = []
        for worker, stages in WORKERS.items():
            snapshots = self._site.snapshots(worker)
            for stage in stages:
                await self._tell(observer, f"replaying {stage.name}")
                live: list[Manifest] = []
                for shard in await log.shards(stage.source_stream):
                    newest = (await snapshots.manifests(stage.name, shard.shard_id))[:1]
                    if not newest:
                        raise DrainError(f"{worker} left no snapshot of {stage.name}/{shard.shard_id} to compare with")
                    live += newest
                verdicts += await verify_stage(stage, log, live)
        return verdicts

    async def _report(self, observer: Observer, verdicts: Sequence[ShardVerdict]) -> Report:
        async with self._site.books() as queries:
            if queries is None:
                raise DrainError("the projector has written nothing")
            counts = queries.counts()
            nets, expected, limbo = queries.nets(), queries.expected_nets(), queries.limbo()
        decision, settled = observer.latencies(DECISION), observer.latencies(SETTLED)
        seconds = observer.seconds_of_submissions
        return Report(
            began_us=self._started_us,
            seed=self._plan.seed,
            shards=self._plan.shards,
            seconds=self._seconds(),
            submitted=observer.submitted,
            outcomes={name: getattr(counts, name) for name in Counts._fields if name != "submitted"},
            in_flight=counts.in_flight,
            limbo_minor={row.currency: row.minor for row in limbo},
            tps=observer.submitted / seconds if seconds else 0.0,
            latency_ms={DECISION: decision.summary(), SETTLED: settled.summary()},
            positions=[CyclePosition(*net) for net in nets],
            settled_nets=_without_zeros(expected),
            verdicts=verdicts,
            restarts={member.name: member.restarts for member in self.fleet.members if member.restarts},
            clients=json.loads((self._plan.folder / "clients" / SUMS).read_text("utf-8"))
            if self._plan.gateway
            else None,
            settled_per_second=observer.settled_per_second(),
            decision_ms=decision.values_ms,
            settled_ms=settled.values_ms,
        )

    async def _tell(self, observer: Observer, phase: str) -> None:
        async with self._site.books() as queries:
            if queries is None:
                return
            counts, limbo = queries.counts()._replace(submitted=observer.submitted), queries.limbo()
        now_us = self._clock.now_us()
        since_us = now_us - int(RECENT_SECONDS * 1_000_000)
        lags = [lag for port in self.ports.values() for lag in await asyncio.to_thread(ask, port)]
        progress = Progress(
            seconds=self._seconds(),
            counts=counts,
            limbo=limbo,
            submitted_per_second=self._submitting.of(counts.submitted, now_us),
            settled_per_second=self._settling.of(counts.settled, now_us),
            decision=observer.latencies(DECISION, since_us),
            settled=observer.latencies(SETTLED, since_us),
            lags=sorted(lags),
            restarts=sum(member.restarts for member in self.fleet.members),
            phase=phase,
        )
        self._show(progress)

    def _seconds(self) -> float:
        return (self._clock.now_us() - self._started_us) / 1_000_000


def _members(plan: Plan, site: Site, ports: Mapping[str, int], ends: Ends) -> list[Member]:
    """Return the processes: those that read first, and none that writes to a worker before that worker."""
    folder = plan.folder

    def process(name: str, *arguments: str) -> Member:
        log_file = folder / "processes" / f"{name}.log"
        return Member(name, (*arguments, "--data", str(folder / name)), log_file, environment=site.environment)

    def member(name: str, *arguments: str, log: str = site.log_name) -> Member:
        return process(name, *arguments, "--log", log)

    def ending_by_itself(name: str, *arguments: str) -> Member:
        ending = member(name, *arguments)
        ending.ends_by_itself = True
        return ending

    def worker(name: str) -> Member:
        stages = chain.from_iterable(("--stage", stage.name) for stage in WORKERS[name])
        running = member(name, "agents.cli", "worker", *stages, log=site.worker_log_name)
        running.settings = {**site.worker_settings, "PAYMENTS_OBSERVE_PORT": str(ports[name])}
        running.stop_seconds_max = site.worker_stop_seconds_max
        return running

    seed = ("--seed", str(plan.seed))
    pace = ("--tps", str(plan.payments_per_second))
    count = ("--count", str(plan.count))
    cycles = ("--cycle-seconds", str(plan.cycle_seconds))
    tables = ("--tables", site.projector_tables) if site.projector_tables else ()
    pipeline = [
        member("projector", "agents.edge.projector", *tables),
        worker("settle"),
        worker("authorise"),
        member("rtgs", "agents.edge.rtgs"),
        process("participants", "agents.cli", "participants", *seed, *ends.participants_options),
        member("links", "agents.edge.links", *ends.links_options, "--vault", str(folder / "gateway")),
    ]
    generator = ("agents.edge.generator", *seed, *pace, *cycles)
    if not plan.gateway:
        return [*pipeline, ending_by_itself("generator", *generator, *count)]
    address = f"127.0.0.1:{free_port()}"
    shown = ("--tables", site.projector_tables or f"sqlite:{folder / 'projector'}")
    clients = ("agents.edge.simulated_clients", "--gateway", f"http://{address}", *seed, *pace, *count)
    return [
        *pipeline,
        member("gateway", "agents.cli", "gateway", "--open", "--listen", address, *shown),
        ending_by_itself("generator", *generator, "--count", "0"),
        ending_by_itself("clients", *clients),
    ]


def _without_zeros(nets: Sequence[Net]) -> dict[tuple[int, str], int]:
    return {(net.cycle, net.account): net.net_minor for net in nets if net.net_minor}


def run_demo(
    plan: Plan,
    clock: Clock,
    show: Callable[[Progress], None],
    site: Site | None = None,
    disturbance: Disturbance | None = None,
) -> Report:
    """Run the demo to its end."""
    return asyncio.run(Demo(plan, clock, show, site, disturbance).run())
