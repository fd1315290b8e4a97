"""How long a shard stands still when its daemon is killed: ``python -m tests.emulator.measure_takeover [RUNS]``.

    another_worker   two workers share two shards, and everything of one is killed: the other takes over
    same_worker      a worker alone, and its daemon is killed: its supervisor starts it anew, a cold JVM

Each run kills, puts a word into a shard that was lost, and waits until its count is downstream.  Seconds are printed as
JSON, with their median; they are figures of this machine and no test's verdict.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from pipeline.kernel.hashrange import hash_key
from tests.aws_under_test import aws_server
from tests.emulator.kcl_under_test import KclUnderTest, WorkerProcess
from tests.toy_stage import SOURCE, read_downstream, say

RUNS = 5
SECONDS_MAX = 180.0
_LOOK_SECONDS = 0.05
Kill = Callable[[KclUnderTest, ExitStack], Awaitable[tuple[Callable[[], None], str]]]


def main(runs: int) -> None:
    """Measure, and print."""
    figures = {}
    for name, prepare in (("another_worker", _two_workers), ("same_worker", _one_worker)):
        seconds = [_measure(prepare) for _ in range(runs)]
        figures[name] = {"median": median(seconds), "seconds": seconds}
    figures["load"] = {"after": os.getloadavg()[0], "cores": os.cpu_count() or 0}
    print(json.dumps(figures))  # noqa: T201


def _measure(prepare: Kill) -> float:
    with aws_server() as dynamodb, TemporaryDirectory() as folder:
        kcl = KclUnderTest(dynamodb, Path(folder), shards=2)
        return round(asyncio.run(_seconds_until_the_next_decision(kcl, prepare)), 1)


async def _seconds_until_the_next_decision(kcl: KclUnderTest, prepare: Kill) -> float:
    with ExitStack() as workers:
        kill, shard_id = await prepare(kcl, workers)
        (lost,) = [shard for shard in await kcl.log.shards(SOURCE) if shard.shard_id == shard_id]
        key = next(key for key in map(str, range(1_000)) if int.from_bytes(hash_key(key), "big") in lost.hash_range)
        kill()
        killed = monotonic()
        await say(kcl.log, 0, (key, "word"))
        while key not in (await read_downstream(kcl.log)).counts:
            if monotonic() - killed > SECONDS_MAX:
                raise TimeoutError(f"nothing is decided in {shard_id} for {SECONDS_MAX} s")
            await asyncio.sleep(_LOOK_SECONDS)
        return monotonic() - killed


async def _two_workers(kcl: KclUnderTest, workers: ExitStack) -> tuple[Callable[[], None], str]:
    first = workers.enter_context(kcl.worker("a"))
    await first.until(lambda: len(first.shards()) == 2, "owns both shards")
    second = workers.enter_context(kcl.worker("b"))
    await first.until(lambda: _share(first, second), "shares the shards")
    return first.kill, str(first.shards()[0]["shard"])


async def _one_worker(kcl: KclUnderTest, workers: ExitStack) -> tuple[Callable[[], None], str]:
    worker = workers.enter_context(kcl.worker("a"))
    await worker.until(lambda: len(worker.shards()) == 2, "owns both shards")
    daemon = int(worker.health()["daemons"][0]["pid"])
    return lambda: os.kill(daemon, signal.SIGKILL), str(worker.shards()[0]["shard"])


def _share(first: WorkerProcess, second: WorkerProcess) -> bool:
    owned = [[shard["shard"] for shard in worker.shards() if shard["position"]] for worker in (first, second)]
    return [len(shards) for shards in owned] == [1, 1] and owned[0] != owned[1]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
