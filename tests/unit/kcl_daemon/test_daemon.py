"""A daemon is kept running and ended in order; here it is a shell script, as only its process matters."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.kcl_daemon import daemon as daemons
from pipeline.kcl_daemon.daemon import Daemon
from pipeline.stream_logs.backoff import Backoff
from pipeline.system_clock import SystemClock

PATIENCE_SECONDS = 20.0


@asynccontextmanager
async def running(
    script: str, grace: float = PATIENCE_SECONDS, children: float = PATIENCE_SECONDS
) -> AsyncIterator[Daemon]:
    """Run a daemon, and stop it in the end."""
    stop = asyncio.Event()
    backoff = Backoff(0.02, 0.02)
    daemon = Daemon("count", ("/bin/sh", "-c", script), SystemClock(), backoff, grace, children)
    task = asyncio.ensure_future(daemon.run(stop))
    try:
        yield daemon
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.01)


def test_a_daemon_that_dies_is_started_anew_and_that_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running("exit 7") as daemon:
            await until(lambda: daemon.restarts >= 3)

    asyncio.run(scenario())
    assert "the KCL daemon ended with 7 and is started anew" in caplog.text


def test_a_daemon_that_goes_on_dying_is_started_ever_later() -> None:
    async def scenario() -> None:
        async with running("exit 1") as daemon:
            await until(lambda: daemon.restarts >= 3)
        assert daemon.backoff.failures == daemon.restarts

    asyncio.run(scenario())


def test_a_daemon_that_ran_for_a_while_had_started_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "STEADY_SECONDS", 0.0)

    async def scenario() -> None:
        async with running("exit 1") as daemon:
            await until(lambda: daemon.restarts >= 3)
        assert daemon.backoff.failures == 1

    asyncio.run(scenario())


def test_a_daemon_that_ends_in_the_moment_in_which_it_is_told_to_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended_already(process: asyncio.subprocess.Process) -> None:
        os.kill(process.pid, signal.SIGKILL)
        raise ProcessLookupError

    monkeypatch.setattr(asyncio.subprocess.Process, "terminate", ended_already)

    async def scenario() -> None:
        async with running("exec sleep 600") as daemon:
            await until(lambda: daemon.pid is not None)
        assert daemon.pid is None
        assert not daemon.killed

    asyncio.run(scenario())


def test_sigterm_is_passed_on_once_and_the_daemon_gets_its_grace(tmp_path: Path) -> None:
    said = tmp_path / "said"

    async def scenario() -> None:
        script = f"trap 'echo told >> {said}; sleep 0.3; echo done >> {said}; exit 143' TERM; echo up >> {said}; "
        async with running(script + "while :; do sleep 0.05; done") as daemon:
            await until(said.exists)
        assert not daemon.killed

    asyncio.run(scenario())
    assert said.read_text().split() == ["up", "told", "done"]


def test_a_daemon_that_does_not_end_in_its_grace_is_killed_with_all_that_it_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    child = tmp_path / "child"

    async def scenario() -> None:
        script = f"trap '' TERM; sleep 600 & echo $! > {child}.new; mv {child}.new {child}; wait; wait; sleep 600"
        async with running(script, grace=0.1) as daemon:
            await until(child.exists)
        assert daemon.killed
        await until(lambda: not runs(int(child.read_text())))

    asyncio.run(scenario())
    assert "killing what is left of the KCL daemon" in caplog.text


def test_children_of_a_daemon_that_died_end_by_themselves_or_are_killed(tmp_path: Path) -> None:
    child = tmp_path / "child"

    async def scenario() -> None:
        script = f"sleep 600 >/dev/null 2>&1 & echo $! > {child}.new; mv {child}.new {child}; exit 1"
        async with running(script, children=0.2) as daemon:
            await until(lambda: daemon.restarts >= 1)
        await until(lambda: not runs(int(child.read_text())))

    asyncio.run(scenario())


def test_what_a_daemon_and_its_children_say_becomes_one_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        script = r"printf 'WARN\tsoftware.amazon.Thing\tall is well\n'; echo not a line of ours; exec sleep 600"
        async with running(script, grace=0.1):
            await until(lambda: "not a line of ours" in caplog.text)

    asyncio.run(scenario())
    (record,) = [record for record in caplog.records if record.message == "all is well"]
    assert record.levelname == "WARNING"


def runs(pid: int) -> bool:
    """Say whether a process runs: one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
