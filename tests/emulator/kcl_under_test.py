"""A worker run by KCL, as a test sees it: real daemons, real children, kinesis-local, and moto's DynamoDB.

Everything listens on the loopback interface.  A worker is ended by its process id; what it started ends with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from demo.lag import free_port
from pipeline import tool_cache
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.meta import read_meta
from pipeline.kernel.position import Position
from pipeline.parent_death import stop_with_parent
from pipeline.ports import Entry, Landed, Log, Manifest
from pipeline.restore import Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests, state_digest
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import FolderSnapshots, MemorySnapshots
from pipeline.stream_logs.kinesis import KinesisLog
from pipeline.system_clock import SystemClock
from tests.emulator import kinesis_local
from tests.emulator.kinesis_under_test import HURRIED
from tests.emulator.left_behind import processes_in
from tests.toy_stage import SAID_KIND, SOURCE, Said, SaidCodec, create_streams, read_downstream, toy_stage

JARS = tool_cache.folder("kcl", kinesis_local.REPOSITORY / "requirements-kcl.lock") / "jars"
FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"
"""The shards of a stream that was made with two."""
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0
_QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def skip_unless_installed() -> None:
    """Skip the test if Java or the jars are missing, and in CI let it fail."""
    missing = None
    if shutil.which("java") is None:
        missing = "no java on the PATH: install Java 17 to test what KCL runs"
    elif not any(JARS.glob("amazon-kinesis-client-multilang-*.jar")):
        missing = f"KCL's jars are not in {JARS}: run make kcl"
    if missing is not None and os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    if missing is not None:
        pytest.skip(missing)


def environment_of(emulator: kinesis_local.KinesisLocal, account: str, dynamodb: str) -> dict[str, str]:
    """Return what a worker run by KCL needs to know to find the emulators, in an application of the account's own."""
    return {
        **emulator.environment(account),
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
        "JAVA_TOOL_OPTIONS": _QUICK_JAVA,
        "PAYMENTS_KCL_APPLICATION": f"test-{account}",
        "PAYMENTS_KCL_RETRIEVAL": "polling",
        "PAYMENTS_KCL_HEAP_MIB": "256",
        "PAYMENTS_KINESIS_READS_PER_SECOND_MAX": "100",
    }


class KclUnderTest:
    """One application: its streams, its lease table, and the folder of its worker."""

    def __init__(self, dynamodb: str, folder: Path, shards: int) -> None:
        self._emulator = kinesis_local.running()
        self._account = kinesis_local.new_account()
        self._dynamodb = dynamodb
        self.folder = folder
        self.log: Log = KinesisLog(self._emulator.client(self._account), SystemClock(), "kinesis:test", HURRIED)
        self.said: dict[str, int] = {}
        """By key: how many words were put."""
        asyncio.run(create_streams(self.log, shards))

    @contextmanager
    def worker(self, name: str = "a") -> Iterator[WorkerProcess]:
        """Run a worker with a data folder of its own; what is left of it in the end is killed."""
        port = free_port()
        environment = {
            **os.environ,
            **environment_of(self._emulator, self._account, self._dynamodb),
            "PAYMENTS_OBSERVE_PORT": str(port),
            "PAYMENTS_STATE_SNAPSHOTS": str(self.folder / "snapshots"),
            "PAYMENTS_WORKER_SNAPSHOT_SECONDS": "2",
        }
        worker = WorkerProcess(self.folder / name, environment, port)
        try:
            yield worker
        finally:
            worker.end()

    @contextmanager
    def without_snapshots(self) -> Iterator[None]:
        """Let nobody publish snapshots, or find them, meanwhile."""
        place, aside = self.folder / "snapshots", self.folder / "snapshots aside"
        place.rename(aside)
        place.touch()
        try:
            yield
        finally:
            place.unlink()
            aside.rename(place)

    async def say(self, words: int, keys: int, in_a_record: int) -> None:
        """Put ``words`` user records under ``keys`` keys, so many in a record."""
        names = [f"key {number}" for number in range(keys)]
        entries = []
        for number in range(words // in_a_record):
            key = names[number % keys]
            self.said[key] = self.said.get(key, 0) + in_a_record
            entries.append(Entry(hash_key(key), [_said(key) for _ in range(in_a_record)]))
        for first in range(0, len(entries), 100):
            results = await self.log.put_records(SOURCE, entries[first : first + 100])
            assert all(isinstance(result, Landed) for result in results)

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Put words all the time meanwhile."""
        stopping = asyncio.Event()

        async def say() -> None:
            while not stopping.is_set():
                await self.say(40, keys=20, in_a_record=2)
                await asyncio.sleep(0.1)

        saying = asyncio.ensure_future(say())
        try:
            yield
        finally:
            stopping.set()
            await saying

    async def written_to(self, stream: str, *shard_ids: str) -> None:
        """Wait until there is a record in each of these shards."""
        until = time.monotonic() + START_SECONDS_MAX
        for shard_id in shard_ids:
            while not (await self.log.read(stream, shard_id, 0, 1)).records:
                assert time.monotonic() < until, f"nothing is put into {stream}/{shard_id}"
                await asyncio.sleep(0.1)

    async def counted(self, seconds_max: float) -> int:
        """Wait until every word was counted, each exactly once and in order; return how many outputs are repeats."""
        expected = {key: list(range(1, count + 1)) for key, count in self.said.items()}
        until = time.monotonic() + seconds_max
        while True:
            found = await read_downstream(self.log)
            if sum(map(len, found.counts.values())) >= sum(self.said.values()) or time.monotonic() > until:
                break
            await asyncio.sleep(0.5)
        got = {key: len(counts) for key, counts in found.counts.items()}
        assert got == self.said
        assert {key: sorted(counts) for key, counts in found.counts.items()} == expected
        return found.repeats

    async def replayed_equal(self) -> int:
        """Read every shard with a snapshot directly, from its beginning; return how many have the snapshot's state.

        Each must have the same chain head and the same digest of its whole state at the same position.
        """
        live = FolderSnapshots(self.folder / "snapshots")
        stores, ended = MemoryStores(), MemorySnapshots()
        equal = 0
        for shard in await self.log.shards(SOURCE):
            manifests = await live.manifests("count", shard.shard_id)
            if not manifests:
                continue
            restorer = Restorer(toy_stage(), self.log, stores, ended, self.folder / "replay")
            replay = Shard(toy_stage(), await restorer.restore(shard), _Nowhere())
            await self._read_to(replay, shard.shard_id, manifests[0])
            meta = read_meta(replay.store)
            assert meta is not None
            assert (meta.position, meta.chain_head) == (manifests[0].position, manifests[0].chain_head), shard
            assert state_digest(replay.store) == manifests[0].state_digest, shard
            equal += 1
            if shard.closed:
                await _publish(replay, stores, ended, self.folder / f"replayed-{shard.shard_id}")
        return equal

    async def _read_to(self, replay: Shard, shard_id: str, manifest: Manifest) -> None:
        end = Position.unpack(manifest.position).sequence
        while replay.position.sequence < end:
            part = await self.log.read(SOURCE, shard_id, replay.position.sequence, 77)
            await replay.process([record for record in part.records if record.sequence <= end])
        if manifest.ended:
            await replay.finish()


class WorkerProcess:
    """``payments worker --log kcl:…`` for the toy stage."""

    def __init__(self, folder: Path, environment: dict[str, str], port: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._port = port
        self.started = time.monotonic()
        self._said = (folder / "worker.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulator.kcl_toy_worker", f"kcl:{kinesis_local.REGION}", str(folder)],
            cwd=kinesis_local.REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
            preexec_fn=stop_with_parent,  # noqa: PLW1509 - sets one flag of the child, takes no lock
        )

    def health(self) -> dict[str, Any]:
        """Return what the worker says of itself."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))

    def shards(self) -> Sequence[dict[str, Any]]:
        """Return what it says of its shards; nothing before it answers."""
        try:
            return list(self.health()["shards"])
        except urllib.error.URLError:
            return []

    async def owns(self, *shard_ids: str) -> Sequence[dict[str, Any]]:
        """Wait until it owns these shards and no others; return what it says of them."""
        await self.until(lambda: self._owned() == list(shard_ids), f"owns {shard_ids}")
        return self.shards()

    def _owned(self) -> list[str]:
        return [shard["shard"] for shard in self.shards() if shard["position"]]

    async def restarted(self, times: int) -> None:
        """Wait until its daemon was started anew."""
        await self.until(lambda: self.health()["daemons"][0]["restarts"] >= times, f"restarted {times} times")

    def kill(self) -> None:
        """Kill everything at once, as if the machine had gone."""
        kill_groups_of(self.process.pid)
        self.process.wait()

    async def kill_supervisor(self) -> None:
        """Kill the one process that the others are started by; return when none of them is left."""
        self.process.kill()
        self.process.wait()
        until = time.monotonic() + STOP_SECONDS_MAX
        while left := set(processes_in(self._folder)) - {os.getpid()}:
            assert time.monotonic() < until, f"left behind: {left}"
            await asyncio.sleep(0.1)

    async def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS_MAX)

    def end(self) -> None:
        """Kill whatever is left."""
        if self.process.poll() is None:
            self.kill()
        self._said.close()

    async def until(self, holds: Callable[[], bool], what: str, seconds_max: float = START_SECONDS_MAX) -> None:
        until = time.monotonic() + seconds_max
        while not holds():
            if time.monotonic() > until or self.process.poll() is not None:
                said = (self._folder / "worker.log").read_text("utf-8", "replace")[-3000:]
                pytest.fail(f"not in {seconds_max} s, or ended: {what}; {self.shards()}; {said}")
            await asyncio.sleep(0.1)


def daemons_of(supervisor: int) -> list[int]:
    """Return the process ids of a supervisor's daemons."""
    return [pid for pid in _groups_of(supervisor) if b"MultiLangDaemon" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def kill_groups_of(supervisor: int) -> None:
    """Kill a supervisor and everything that it has started, at once."""
    groups = _groups_of(supervisor)
    os.kill(supervisor, signal.SIGKILL)
    for group in groups:
        with suppress(ProcessLookupError):  # it has seen the supervisor's end
            os.killpg(group, signal.SIGKILL)


@contextmanager
def suspended(supervisor: int) -> Iterator[None]:
    """Stop a supervisor and all that it has started where they are, as a machine does that swaps; let them go on."""
    processes = [supervisor, *(-group for group in _groups_of(supervisor))]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def _groups_of(supervisor: int) -> list[int]:
    """Return the process ids of a supervisor's daemons and fork server, each of which leads a group of its own."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children]


class _Nowhere:
    """Takes outputs and puts them nowhere: they are there already."""

    async def publish(self, outputs: object) -> None: ...


async def _publish(replay: Shard, stores: MemoryStores, ended: MemorySnapshots, folder: Path) -> None:
    """Let the shard's children begin."""
    await take_snapshot(replay, stores, ended, folder, FileDigests())


def _said(key: str) -> bytes:
    hashed = hash_key(key)
    body = SaidCodec().encode(Said(key, "word"))[2]
    now_us = SystemClock().now_us()
    return encode(Envelope(FROM_EDGE, SAID_KIND, 1, now_us, hashed, hashed, edge_lineage(1, 1), b"test", body))
