"""One daemon: started, watched, started anew when it died, and ended in order.

A daemon takes all of its children with it when one of them dies, by KCL's design, so it is expected to die now and
then: nothing is lost, and it is started anew after a wait that grows while it goes on dying.

It runs in a session of its own.  A signal for this process therefore does not reach it, or its children, by itself: it
is told to stop once, and tells its children.  What is left of the session when the daemon is gone gets a moment to
finish, and is then killed, and the shards' processes with their launchers: two children of one shard on this machine
would wait for each other's files.  When this process is killed, the kernel tells the daemon to stop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.kcl_daemon import lines
from pipeline.observe.logging import about
from pipeline.parent_death import stop_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.ports import Clock
    from pipeline.stream_logs.backoff import Backoff

STEADY_SECONDS = 60.0
"""Who ran for so long had started well: the waits begin anew."""
LINE_BYTES_MAX = 16 << 20
_LOOK_SECONDS = 0.05
_US_PER_SECOND = 1_000_000

_log = logging.getLogger(__name__)


class Daemon:
    """The daemon of one stage."""

    def __init__(
        self,
        stage: str,
        command: Sequence[str],
        clock: Clock,
        backoff: Backoff,
        term_seconds_max: float,
        children_seconds_max: float,
    ) -> None:
        """Wait for ``term_seconds_max`` from SIGTERM on, for what is left of a session for ``children_seconds_max``."""
        self.stage = stage
        self._command = command
        self._clock = clock
        self.backoff = backoff
        """Between its starts."""
        self._term_seconds_max = term_seconds_max
        self._children_seconds_max = children_seconds_max
        self.pid: int | None = None
        """None while it is not running."""
        self.started_us = 0
        self.restarts = 0
        self.killed = False
        """True when it did not end in its grace."""

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the daemon running until ``stop`` is set; return when it has ended, and its children."""
        while not stop.is_set():
            code = await self._run_once(stop)
            if stop.is_set():
                break
            if self._clock.now_us() - self.started_us > STEADY_SECONDS * _US_PER_SECOND:
                self.backoff.succeeded()
            seconds = self.backoff.failed()
            self.restarts += 1
            _log.error(
                "the KCL daemon ended with %s and is started anew in %.1f s",
                code,
                seconds,
                extra=about(stage=self.stage, restarts=self.restarts),
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)

    async def _run_once(self, stop: asyncio.Event) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            close_fds=False,  # what we inherited, so that whoever looks for what we started finds all of it
            preexec_fn=stop_with_parent,
            limit=LINE_BYTES_MAX,
        )
        self.pid, self.started_us = process.pid, self._clock.now_us()
        _log.info("KCL daemon started", extra=about(stage=self.stage, pid=process.pid))
        telling = asyncio.ensure_future(self._tell(process))
        ended = asyncio.ensure_future(process.wait())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                with suppress(ProcessLookupError):  # it has ended in this very moment
                    process.terminate()
                await asyncio.wait((ended,), timeout=self._term_seconds_max)
                self.killed = not ended.done()
        finally:
            stopped.cancel()
            await self._end_session(process, ended)
            self.pid = None
        await telling
        return ended.result()

    async def _tell(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            async for line in process.stdout:
                lines.tell(self.stage, line.decode("utf-8", "replace"))

    async def _end_session(self, process: asyncio.subprocess.Process, ended: asyncio.Future[int]) -> None:
        """Return when nothing is left of the daemon's session; kill what does not end by itself."""
        if ended.done():
            until_us = self._clock.now_us() + self._children_seconds_max * _US_PER_SECOND
            while _exists(process.pid) and self._clock.now_us() < until_us:
                await self._clock.sleep(_LOOK_SECONDS)
        if _exists(process.pid):
            _log.error("killing what is left of the KCL daemon", extra=about(stage=self.stage, pid=process.pid))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await ended


def _exists(group: int) -> bool:
    """Say whether there is a process of ``group`` that runs: one that only waits to be reaped does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not Path("/proc").is_dir() or any(_runs_in(stat, group) for stat in Path("/proc").glob("[0-9]*/stat"))


def _runs_in(stat: Path, group: int) -> bool:
    try:
        state, _parent, of_group = stat.read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return state != "Z" and int(of_group) == group
