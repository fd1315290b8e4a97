"""Real worker processes on an embedded log: signals, exit codes, restarts, and nothing lost or twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any, TypeVar
from urllib.request import urlopen

import pytest

from pipeline.kernel.hashrange import LAST_HASH
from pipeline.state.snapshots import FolderSnapshots
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock
from tests.toy_stage import FAIL, HANG, SOURCE, Downstream, create_streams, read_downstream, say

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 60.0
FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"
KEYS = [f"key-{number}" for number in range(40)]
Answer = TypeVar("Answer")


class Process:
    """A process under test, and what it said on stderr."""

    def __init__(self, command: Sequence[str], **variables: str) -> None:
        self._popen = subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True)
        self._said: list[str] = []
        self._listener = Thread(target=self._listen)
        self._listener.start()

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def until_said(self, words: str) -> None:
        eventually(lambda: any(words in line for line in self._said))

    def ended(self) -> tuple[int, list[dict[str, Any]]]:
        """Wait for the end; return the exit code and the log lines."""
        self._popen.wait(PATIENCE_SECONDS)
        self._listener.join()
        return self._popen.returncode, [json.loads(line) for line in self._said if line.startswith("{")]

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._popen.stderr is not None
        with self._popen.stderr as stream:
            for line in stream:
                self._said.append(line)


class Scene:
    """An embedded log with the toy's streams, and workers on it."""

    def __init__(self, folder: Path, shards: int = 2) -> None:
        self._folder = folder
        self._clock = SystemClock()
        self._runner = asyncio.Runner()
        self._processes: list[Process] = []
        self.log = LocalLog(folder / "log", self._clock)
        self.run(create_streams(self.log, shards))

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return self._runner.run(coroutine)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        self.log.close()
        self._runner.close()

    def worker(self, *arguments: str, **settings: str) -> Process:
        command = [sys.executable, "-m", "tests.e2e.toy_worker", str(self._folder), *arguments]
        process = Process(command, **{f"PAYMENTS_{name.upper()}": value for name, value in settings.items()})
        self._processes.append(process)
        return process

    def say(self, *what: tuple[str, str]) -> None:
        self.run(say(self.log, self._clock.now_us(), *what))

    def downstream(self) -> Downstream:
        return self.run(read_downstream(self.log))

    def until_counted(self, process: Process, count: int, keys: Sequence[str] = KEYS) -> None:
        def counted() -> bool:
            assert process.running, process.ended()
            found = self.downstream().counts
            return all(found.get(key, [])[-1:] == [count] for key in keys)

        eventually(counted)

    def positions(self) -> dict[str, int]:
        """Return the position of each shard's newest snapshot."""
        snapshots = FolderSnapshots(self._folder / "data" / "snapshots")
        return {
            shard.shard_id: int.from_bytes(manifests[0].position[:16], "big")
            for shard in self.run(_shards(self.log))
            if (manifests := self.run(_manifests(snapshots, shard.shard_id)))
        }


async def _shards(log: LocalLog) -> Any:
    return await log.shards(SOURCE)


async def _manifests(snapshots: FolderSnapshots, shard_id: str) -> Any:
    return await snapshots.manifests("count", shard_id)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_sigterm_ends_a_worker_in_time_with_a_snapshot_and_a_restart_goes_on_exactly_there(scene: Scene) -> None:
    first = scene.worker()
    scene.say(*((key, "one") for key in KEYS))
    scene.until_counted(first, 1)
    began = time.monotonic()
    first.signal(signal.SIGTERM)
    code, lines = first.ended()
    assert code == 0, lines
    assert time.monotonic() - began < 10
    assert set(scene.positions()) == {FIRST, SECOND}

    scene.say(*((key, "two") for key in KEYS))
    second = scene.worker()
    scene.until_counted(second, 2)
    second.signal(signal.SIGINT)
    code, lines = second.ended()

    assert code == 0, lines
    taken_over = {line["shard"]: line["message"] for line in lines if "taken over" in line["message"]}
    assert set(taken_over) == {FIRST, SECOND}
    assert all("at 0." not in message for message in taken_over.values())
    downstream = scene.downstream()
    assert downstream.counts == {key: [1, 2] for key in KEYS}
    assert downstream.repeats == 0


def test_a_worker_that_cannot_take_its_last_snapshots_ends_with_3(scene: Scene, tmp_path: Path) -> None:
    worker = scene.worker()
    scene.say(("k", "one"))
    scene.until_counted(worker, 1, ["k"])
    (tmp_path / "data" / "scratch").write_text("no folder")
    worker.signal(signal.SIGTERM)
    code, lines = worker.ended()

    assert code == 3, lines
    assert "the last snapshot failed of count/" in lines[-1]["message"], lines[-1]


@pytest.mark.slow
def test_a_killed_worker_repeats_what_it_had_not_committed_under_the_same_lineages(scene: Scene) -> None:
    for round_number in range(1, 6):
        worker = scene.worker(worker_tick_ms="20", worker_snapshot_seconds="0.05")
        scene.say(*((key, "again") for key in KEYS))
        scene.until_counted(worker, round_number)
        worker.kill()

    assert scene.downstream().counts == {key: [1, 2, 3, 4, 5] for key in KEYS}


def test_a_batch_that_raises_ends_the_worker_with_1_and_nothing_is_lost_once_it_is_repaired(scene: Scene) -> None:
    worker = scene.worker()
    scene.say(("k", "fine"))
    scene.until_counted(worker, 1, ["k"])
    scene.say(("k", "fine"), ("k", FAIL), ("k", "fine"))
    code, lines = worker.ended()

    assert code == 1
    (failed,) = [line for line in lines if line["level"] == "error"]
    assert failed["stage"] == "count"
    assert failed["shard"] in {FIRST, SECOND}
    assert "." in failed["position"]
    assert "ValueError: cannot count this" in failed["message"]
    assert "cannot count this" in failed["traceback"]
    assert scene.downstream().counts == {"k": [1]}

    repaired = scene.worker("repaired")
    scene.until_counted(repaired, 4, ["k"])
    assert scene.downstream().counts == {"k": [1, 2, 3, 4]}


def test_a_split_and_a_merge_while_running_lose_and_repeat_nothing(scene: Scene) -> None:
    worker = scene.worker(worker_discover_seconds="0.05")
    scene.say(*((key, "one") for key in KEYS))
    scene.run(scene.log.split(SOURCE, SECOND, LAST_HASH // 4 * 3))
    scene.say(*((key, "two") for key in KEYS))
    scene.run(scene.log.merge(SOURCE, FIRST, "shardId-000000000002"))
    scene.say(*((key, "three") for key in KEYS))
    scene.until_counted(worker, 3)
    worker.signal(signal.SIGTERM)
    code, lines = worker.ended()

    assert code == 0, lines
    downstream = scene.downstream()
    assert downstream.counts == {key: [1, 2, 3] for key in KEYS}
    assert downstream.repeats == 0


def test_a_second_worker_on_the_same_data_says_so_and_ends_with_3(scene: Scene) -> None:
    first = scene.worker()
    scene.say(*((key, "one") for key in KEYS))
    scene.until_counted(first, 1)

    code, lines = scene.worker().ended()

    assert code == 3
    (refused,) = [line for line in lines if line["level"] == "error"]
    assert "is open in another process" in refused["message"]
    assert first.running
    scene.say(*((key, "two") for key in KEYS))
    scene.until_counted(first, 2)


def test_a_step_that_hangs_does_not_keep_the_worker_from_ending(scene: Scene) -> None:
    worker = scene.worker(worker_shutdown_seconds_max="1")
    scene.say(("k", HANG))
    worker.until_said("hanging")
    worker.signal(signal.SIGTERM)
    code, lines = worker.ended()

    assert code == 3
    assert "not stopped in 1" in lines[-1]["message"]
    assert scene.downstream().counts == {}
    scene.until_counted(scene.worker("repaired"), 1, ["k"])


def test_metrics_and_health_are_served_on_loopback(scene: Scene) -> None:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = scene.worker(observe_port=str(port))
    scene.say(*((key, "one") for key in KEYS))
    scene.until_counted(worker, 1)

    health = json.loads(get(port, "/health"))
    assert health["healthy"]
    assert [shard["shard"] for shard in health["shards"]] == [FIRST, SECOND]
    assert 'pipeline_outputs_total{stage="count",stream="counted"}' in get(port, "/metrics")


def get(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())
