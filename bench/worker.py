"""What the worker costs around the commit protocol: ``python -m bench.worker`` prints three figures as JSON.

    overhead_us_per_batch    a batch of one record through the whole worker, less the same batch by ``Shard.process``
    idle_cpu_percent         of one core, for a worker with 8 shards that has nothing but its ticks
    latency_ms               from a put to the reader's sight of the output, at 500 a second over the embedded log,
                             4 shards, worker and reader in processes of their own: two syncs and two polls

The stage does nothing but send on what it gets.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.faust_worker.ports import WorkerPorts
from pipeline.faust_worker.process import run_process
from pipeline.faust_worker.worker import Worker
from pipeline.kernel.agent import Behaviour, Context, Handlers, Stage
from pipeline.kernel.envelope import FROM_EDGE, Envelope, decode, edge_lineage, encode
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.position import Source
from pipeline.observe import logging
from pipeline.observe.metrics import Metrics
from pipeline.ports import Entry, Log
from pipeline.publisher import Publisher
from pipeline.restore import genesis_rows
from pipeline.settings import Settings, WorkerSettings
from pipeline.shard import Shard
from pipeline.state.memory import MemoryStore, MemoryStores
from pipeline.state.rocks import RocksStores
from pipeline.state.snapshots import FolderSnapshots, MemorySnapshots
from pipeline.stream_logs.local import LocalLog
from pipeline.stream_logs.memory import MemoryLog
from pipeline.system_clock import SystemClock

BATCHES = 3_000
IDLE_SECONDS, IDLE_SHARDS = 6.0, 8
PUTS_PER_SECOND, PUT_SECONDS, PUT_SHARDS = 500, 10, 4
STARTED_SECONDS_MAX = 60
_KIND = 256
_CLOCK = SystemClock()


class Word(str):
    """The only event."""

    __slots__ = ()


class Words:
    """Codes it."""

    def encode(self, event: object) -> tuple[int, int, bytes]:
        """Return kind, version and body."""
        return _KIND, 1, str(event).encode()

    def decode(self, kind: int, version: int, body: bytes) -> Word:
        """Return the event."""
        return Word(body.decode())


class Echo:
    """The only agent."""

    def handlers(self) -> Handlers:
        """Return what it handles."""
        return {Word: self.send_on}

    def send_on(self, word: Word, ctx: Context) -> None:
        """Send on what came."""
        ctx.emit("out", word, word)


STAGE = Stage("echo", "in", ("out",), "parked", Words(), {1: Behaviour(lambda _tables: (Echo(),), frozenset({Word}))})


def entry(number: int) -> Entry:
    """Return a record of one word."""
    word = f"word-{number}"
    hashed, now_us = hash_key(word), _CLOCK.now_us()
    lineage = edge_lineage(1, number)
    envelope = Envelope(FROM_EDGE, _KIND, 1, now_us, hashed, hashed, lineage, b"bench", word.encode())
    return Entry(hashed, [encode(envelope)])


async def create_streams(log: Log, shards: int) -> None:
    """Make what the stage reads and writes."""
    for stream in ("in", "out", "parked"):
        await log.create_stream(stream, shards)


async def filled_log() -> MemoryLog:
    """Return a log in memory with a record for each batch."""
    log = MemoryLog(_CLOCK, "bench")
    await create_streams(log, 1)
    for number in range(BATCHES):
        await log.put_records("in", [entry(number)])
    return log


async def direct_us_per_batch() -> float:
    """Measure ``Shard.process`` alone."""
    log = await filled_log()
    (shard,) = await log.shards("in")
    store = MemoryStore()
    store.write(genesis_rows(STAGE, Source("bench", "in", shard.shard_id), shard.hash_range))
    alone = Shard(STAGE, store, Publisher(log, _CLOCK))
    started, after = time.perf_counter(), 0
    for _ in range(BATCHES):
        part = await log.read("in", shard.shard_id, after, 1)
        await alone.process(part.records)
        after = part.records[-1].sequence
    return (time.perf_counter() - started) / BATCHES * 1e6


async def worker_us_per_batch(folder: Path) -> float:
    """Measure the same through the worker."""
    log = await filled_log()
    ports = WorkerPorts(log, MemoryStores(), MemorySnapshots(), _CLOCK, folder)
    settings = Settings(WorkerSettings(batch_user_records_max=1, tick_ms=3_600_000))
    worker = Worker("bench", [STAGE], None, ports, settings, Metrics())
    running = asyncio.ensure_future(worker.run())
    while not worker.owned():  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0)
    started = time.perf_counter()
    (owned,) = worker.owned()
    while owned.shard.committed.records < BATCHES:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    elapsed = time.perf_counter() - started
    worker.stop()
    await running
    await worker.close()
    return elapsed / BATCHES * 1e6


def local_ports(folder: Path) -> WorkerPorts:
    """Return what a real worker works with."""
    stores, snapshots = RocksStores(folder / "state"), FolderSnapshots(folder / "snapshots")
    return WorkerPorts(LocalLog(folder / "log", _CLOCK), stores, snapshots, _CLOCK, folder / "scratch")


async def idle_cpu_percent(folder: Path) -> float:
    """Measure a worker that has nothing to do."""
    ports = local_ports(folder)
    await create_streams(ports.log, IDLE_SHARDS)
    worker = Worker("bench", [STAGE], None, ports, Settings(), Metrics())
    running = asyncio.ensure_future(worker.run())
    while len(worker.owned()) < IDLE_SHARDS:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    used, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    percent = (time.process_time() - used) / (time.perf_counter() - began) * 100
    worker.stop()
    await running
    await worker.close()
    return percent


async def latencies_ms(folder: Path) -> list[float]:
    """Measure from put to sight, beside a worker process that is there already."""
    log = LocalLog(folder / "log", _CLOCK)
    await create_streams(log, PUT_SHARDS)
    process = subprocess.Popen([sys.executable, "-m", "bench.worker", str(folder)])  # noqa: ASYNC220, S603
    put_at: dict[str, float] = {}
    seen_at: dict[str, float] = {}
    positions = {shard.shard_id: 0 for shard in await log.shards("out")}

    async def put(number: int) -> None:
        put_at[f"word-{number}"] = time.perf_counter()
        await log.put_records("in", [entry(number)])

    async def look() -> None:
        for shard_id, after in positions.items():
            for record in (await log.read("out", shard_id, after, 1_000)).records:
                positions[shard_id] = record.sequence
                for user_record in record.user_records:
                    seen_at.setdefault(decode(user_record).body.decode(), time.perf_counter())

    async def until_seen(count: int) -> None:
        async with asyncio.timeout(STARTED_SECONDS_MAX):
            while len(seen_at) < count:
                await look()
                await asyncio.sleep(0.0005)

    total = PUTS_PER_SECOND * PUT_SECONDS
    await put(total)  # the one that the worker starts with does not count
    await until_seen(1)
    watching = asyncio.ensure_future(until_seen(total + 1))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as puts:
        for number in range(total):
            await asyncio.sleep(began + number / PUTS_PER_SECOND - time.perf_counter())
            puts.create_task(put(number))
    await watching
    process.terminate()
    process.wait()
    log.close()
    return sorted((seen_at[word] - at) * 1e3 for word, at in put_at.items() if word != f"word-{total}")


async def measure() -> dict[str, object]:
    """Return all figures."""
    with TemporaryDirectory(prefix="bench-worker-") as name:
        folder = Path(name)
        direct = await direct_us_per_batch()
        overhead = await worker_us_per_batch(folder / "overhead") - direct
        idle = await idle_cpu_percent(folder / "idle")
        latencies = await latencies_ms(folder / "latency")
    return {
        "direct_us_per_batch": round(direct, 1),
        "overhead_us_per_batch": round(overhead, 1),
        "idle_cpu_percent": round(idle, 1),
        "latency_ms": {name: round(percentile(latencies, at), 1) for name, at in PERCENTILES.items()},
    }


PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def percentile(values: Sequence[float], at: float) -> float:
    """Return the value that ``at`` of the sorted ``values`` do not exceed."""
    return values[min(int(len(values) * at), len(values) - 1)]


def main(arguments: Sequence[str]) -> int:
    """Measure; or, given a folder, be the worker process of a measurement."""
    logging.configure("warning")
    if arguments:
        metrics, settings = Metrics(), Settings()
        ports = Path(arguments[0])
        return run_process(
            lambda: Worker("bench", [STAGE], None, local_ports(ports), settings, metrics), settings, metrics
        )
    sys.stdout.write(json.dumps(asyncio.run(measure())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
