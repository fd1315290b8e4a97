"""The authorise stage, durable, on one core: payments a second, and where the microseconds go.

Payments are read from an embedded log, go through the real agents over RocksDB, and what comes out is appended, synced
and acknowledged before the state is committed: the commit protocol of the worker, without the worker around it.  The
process is pinned to one core before any thread starts, so RocksDB's and the log's threads are paid for too, and the
last flush of the state is inside the time.

The run is made twice over fresh state: once clean, for the total, and once with a stopwatch around each part, for the
shares.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from agents.fraud.account import Account
from agents.streams import ALL_STREAMS, CLEARING, PAYMENTS
from agents.topology import AUTHORISE
from bench.payments import BenchPayments
from pipeline.kernel.agent import Agent, Behaviour, Stage
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.position import Source
from pipeline.kernel.tables import Tables
from pipeline.ports import Entry, StateStore
from pipeline.publisher import Publisher
from pipeline.restore import genesis_rows
from pipeline.shard import Shard
from pipeline.state.rocks import RocksStores
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock

CLEARING_SHARDS = 4
READ_AT_ONCE = 500
"""User records in a batch."""
APPENDED_AT_ONCE = 250


@dataclass
class Stopwatch:
    """Seconds by part; the innermost part that is running is the one that pays."""

    seconds: dict[str, float] = field(default_factory=dict)
    _running: list[str] = field(default_factory=list)
    _since: float = 0.0

    def start(self, part: str) -> None:
        """Let ``part`` pay from now on."""
        self._charge()
        self._running.append(part)

    def stop(self) -> None:
        """Let the part around the running one pay again."""
        self._charge()
        self._running.pop()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with its time charged to ``part``."""

        def call(*args: object) -> object:
            self.start(part)
            try:
                return function(*args)
            finally:
                self.stop()

        return call

    def _charge(self) -> None:
        now = perf_counter()
        if self._running:
            part = self._running[-1]
            self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now


@dataclass(frozen=True, slots=True)
class AuthoriseFigures:
    """What one run came to."""

    accounts: int
    payments: int
    payments_per_second: float
    us_per_payment: float
    cpu_us_per_payment: float
    """Of all threads; less than the line above by what the core waited for the disk, or ran for others."""
    engine_us_per_payment: float
    """Everything but the agents."""
    parts: dict[str, float]
    """Microseconds a payment by part, from the run with the stopwatch, scaled to the clean run's total."""
    resident_mib_max: float


def measure(accounts: int, payments: int, folder: Path) -> AuthoriseFigures:
    """Return the figures for ``payments`` payments among ``accounts`` accounts that exist already."""
    clean = _Run(folder / "clean", accounts, payments)
    total_seconds, cpu_seconds = asyncio.run(clean.run())
    watched = _Run(folder / "watched", accounts, payments, Stopwatch())
    watched_seconds, _ = asyncio.run(watched.run())
    seconds = watched.watch.seconds if watched.watch else {}
    scale = total_seconds / watched_seconds * 1e6 / payments
    parts = {part: round(spent * scale, 2) for part, spent in seconds.items()}
    us_per_payment = total_seconds * 1e6 / payments
    return AuthoriseFigures(
        accounts=accounts,
        payments=payments,
        payments_per_second=round(payments / total_seconds),
        us_per_payment=round(us_per_payment, 2),
        cpu_us_per_payment=round(cpu_seconds * 1e6 / payments, 2),
        engine_us_per_payment=round(us_per_payment - parts["agents"], 2),
        parts=parts,
        resident_mib_max=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def pin_to_one_core() -> int:
    """Pin this process, with every thread it will start, to its last allowed core and return its number."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


class _Run:
    """One run of the stage over a log that holds all payments."""

    def __init__(self, folder: Path, accounts: int, payments: int, watch: Stopwatch | None = None) -> None:
        self.watch = watch
        self._folder = folder
        self._payments = payments
        self._source = BenchPayments(accounts)
        self._stores = RocksStores(folder / "state")

    async def run(self) -> tuple[float, float]:
        """Return the seconds that the payments took, by the clock and of all threads' CPU."""
        clock = SystemClock()
        log = LocalLog(self._folder / "log", clock)
        for stream in ALL_STREAMS:
            await log.create_stream(stream, CLEARING_SHARDS if stream == CLEARING else 1)
        await self._append_payments(log)
        (description,) = await log.shards(PAYMENTS)
        store: StateStore = self._stores.create("authorise", description.shard_id)
        source = Source(log.incarnation, PAYMENTS, description.shard_id)
        store.write(genesis_rows(AUTHORISE, source, description.hash_range))
        self._open_accounts(store)
        stage = AUTHORISE
        if self.watch is not None:
            stage = _watched_stage(stage, self.watch)
            store = _WatchedStore(store, self.watch)
        shard = Shard(stage, store, Publisher(log, clock))
        try:
            return await self._drain(log, shard, description.shard_id)
        finally:
            store.close()
            log.close()

    async def _drain(self, log: LocalLog, shard: Shard, shard_id: str) -> tuple[float, float]:
        watch = self.watch or Stopwatch()
        started, started_cpu = perf_counter(), process_time()
        after = 0
        while True:
            watch.start("read")
            found = await log.read(PAYMENTS, shard_id, after, READ_AT_ONCE)
            watch.stop()
            if not found.records:
                break
            after = found.records[-1].sequence
            watch.start("engine")
            outputs = shard.step(found.records)
            watch.stop()
            watch.start("publish")
            await shard.publish(outputs)
            watch.stop()
            watch.start("commit")
            shard.commit()
            watch.stop()
        watch.start("commit")
        shard.store.flush()
        watch.stop()
        return perf_counter() - started, process_time() - started_cpu

    async def _append_payments(self, log: LocalLog) -> None:
        """Append the participants' directory and the payments, in records as an edge would."""
        lists = [self._source.participant(number) for number in range(self._source.participants)]
        await log.put_records(PAYMENTS, [Entry(bytes(16), lists)])
        for first in range(0, self._payments, APPENDED_AT_ONCE):
            numbers = range(first, min(first + APPENDED_AT_ONCE, self._payments))
            await log.put_records(PAYMENTS, [Entry(bytes(16), [self._source.payment(number) for number in numbers])])

    def _open_accounts(self, store: StateStore) -> None:
        """Write the state of every account as if each had been seen before."""
        # filled in by BenchPayments: see bench.payments
        self._source.open_accounts(store)


class _WatchedStore:
    """A state store with its time charged."""

    def __init__(self, store: StateStore, watch: Stopwatch) -> None:
        self.get = watch.timed("state", store.get)
        self.scan = store.scan
        self.write = watch.timed("state", store.write)
        self.flush = store.flush
        self.checkpoint = store.checkpoint
        self.close = store.close


def _watched_stage(stage: Stage, watch: Stopwatch) -> Stage:
    """Return ``stage`` with the time of its agents and its codec charged."""

    class WatchedCodec:
        encode = staticmethod(watch.timed("encode", stage.codec.encode))
        decode = staticmethod(watch.timed("decode", stage.codec.decode))

    def watched(behaviour: Behaviour) -> Behaviour:
        def agents(tables: Tables) -> tuple[Agent, ...]:
            return tuple(_WatchedAgent(agent, watch) for agent in behaviour.agents(tables))

        return replace(behaviour, agents=agents)

    behaviours = {version: watched(behaviour) for version, behaviour in stage.behaviours.items()}
    return replace(stage, codec=WatchedCodec(), behaviours=behaviours)


class _WatchedAgent:
    """An agent with the time of its handlers charged."""

    def __init__(self, agent: Agent, watch: Stopwatch) -> None:
        self._handlers = {kind: watch.timed("agents", handler) for kind, handler in agent.handlers().items()}

    def handlers(self) -> dict[type, Callable[..., Any]]:
        """Return the handlers, timed."""
        return self._handlers
