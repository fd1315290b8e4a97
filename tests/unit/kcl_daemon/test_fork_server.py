"""A launcher stands for a process that is forked: its line, its arguments, its signals, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.kcl_daemon import launcher, shard_status
from pipeline.kcl_daemon.fork_server_process import kept_running
from pipeline.stream_logs.backoff import Backoff

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 20.0
SERVER = """
import os, signal, sys
from pathlib import Path
from pipeline.kcl_daemon import fork_server
started = os.getpid()
arguments = fork_server.serve(Path(sys.argv[1]))
if arguments is None:
    sys.exit(0)
def stop(*_):
    os.write(1, b"stopped in order\\n")  # print may be at work when the signal comes, and is not to be entered again
    os._exit(7)
signal.signal(signal.SIGTERM, stop)
open_files = sorted(int(name) for name in os.listdir("/proc/self/fd"))
print(os.getpid(), os.getppid() == started, *arguments, flush=True)
for line in sys.stdin:
    print("heard", line.strip(), flush=True)
print(len(open_files), file=sys.stderr)
sys.exit(5)
"""
"""Its processes say who they are, repeat what they hear, and exit with 5 at the line's end, with 7 on SIGTERM."""


class Launched:
    """A launcher, and the process that it stands for."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(launcher.__file__), str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.said = self.hear().split()
        self.pid = int(self.said[0])

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Close the line; return the exit code, and what was said to stderr."""
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, errors.decode()

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name is longer than a socket's may be."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    return long


@contextmanager
def serving(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], cwd=ROOT, stdin=subprocess.PIPE)
    try:
        yield server
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(PATIENCE_SECONDS)


def test_a_forked_process_has_the_launchers_line_and_arguments_and_the_launcher_its_exit_code(folder: Path) -> None:
    with serving(folder):
        one, other = Launched(folder, "a", "b c"), Launched(folder, "d")
        one.say("hello")

        assert one.said[1:] == ["True", "a", "b", "c"]
        assert other.said[1:] == ["True", "d"]
        assert one.pid != other.pid
        assert one.hear() == "heard hello"
        assert one.end()[0] == 5
        other.say("still there")
        assert other.hear() == "heard still there"
        assert other.end()[0] == 5


def test_a_forked_process_keeps_no_file_of_the_server_or_of_its_siblings(folder: Path) -> None:
    with serving(folder):
        first, *others = [Launched(folder) for _ in range(4)]
        counts = {launched.end()[1] for launched in (first, *others)}

    assert counts == {"5\n"}  # its line, the pipe that tells of its end, and the folder it looked into to count them


def test_a_launcher_passes_sigterm_on(folder: Path) -> None:
    with serving(folder):
        launched = Launched(folder)
        launched.process.send_signal(signal.SIGTERM)

        assert launched.hear() == "stopped in order"
        assert launched.wait() == 7


def test_who_kills_a_launcher_kills_its_process(folder: Path) -> None:
    with serving(folder):
        launched = Launched(folder)
        launched.process.kill()

        wait_until(lambda: not shard_status.is_running(launched.pid))


def test_the_launcher_of_a_process_that_was_killed_ends_as_a_shell_would_say_it(folder: Path) -> None:
    with serving(folder):
        launched = Launched(folder)
        os.kill(launched.pid, signal.SIGKILL)

        assert launched.wait() == 128 + signal.SIGKILL


def test_a_server_whose_stdin_ends_stops_its_processes_in_order_and_ends_behind_them(folder: Path) -> None:
    with serving(folder) as server:
        launched = Launched(folder)
        assert server.stdin is not None
        server.stdin.close()

        assert launched.hear() == "stopped in order"
        assert launched.wait() == 7
        assert server.wait(PATIENCE_SECONDS) == 0


def test_the_processes_of_a_server_that_is_killed_are_stopped_in_order(folder: Path) -> None:
    with serving(folder) as server:
        launched = Launched(folder)
        server.kill()

        assert launched.hear() == "stopped in order"
        assert launched.wait() == launcher.NO_FORK_SERVER


def test_a_fork_server_that_was_killed_is_started_anew_and_a_launcher_waits_for_it(folder: Path) -> None:
    command = (sys.executable, "-c", SERVER, str(folder))

    async def scenario() -> None:
        async with kept_running(command, Backoff(), PATIENCE_SECONDS):
            before = await asyncio.to_thread(Launched, folder, "before")
            server = parent_of(before.pid)
            os.kill(server, signal.SIGKILL)
            await asyncio.to_thread(wait_until, lambda: not shard_status.is_running(server))
            after = await asyncio.to_thread(Launched, folder, "after")

            assert after.said[1:] == ["True", "after"]
            assert (await asyncio.to_thread(after.end))[0] == 5
            before.wait()

    asyncio.run(scenario())


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
