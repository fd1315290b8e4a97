"""What every edge process has: its options, its log, a loop that a signal ends, and lines on stderr.

An edge's work is a ``turn``: it takes in a batch, makes its effects durable and says whether there was anything to
do.  SIGTERM and SIGINT let the turn in hand finish; then the process exits with 0.  Whatever a turn raises ends the
process with 3: its store is as the last commit left it, and a restart goes on from there.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from agents.edge.errors import EdgeError
from pipeline.errors import PipelineError, Poison
from pipeline.observe.logging import configure
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipeline.ports import Clock

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_FAILED = 3

logger = logging.getLogger("payments.edge")


def edge_arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every edge has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--log", required=True, metavar="local:DIR", help="the log to work on")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder for this process's own store")
    parser.add_argument("--seconds", type=float, default=None, help="stop after so many seconds (default: never)")
    return parser


def open_log(name: str, clock: Clock) -> LocalLog:
    """Return the log that ``name`` says, ``local:DIR``."""
    kind, _, folder = name.partition(":")
    if kind != "local" or not folder:
        raise EdgeError(f"a log is named local:DIR, not {name!r}")
    return LocalLog(Path(folder), clock)


class Turns:
    """Runs turns until a signal, the end of its time, or a turn that says that all is done."""

    def __init__(self, clock: Clock, seconds: float | None, idle_seconds: float) -> None:
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._stopping = asyncio.Event()
        self._end_us = None if seconds is None else clock.now_us() + round(seconds * 1_000_000)

    def stop(self) -> None:
        """Let the turn in hand be the last."""
        self._stopping.set()

    async def until_stopped(self, work: Awaitable[None]) -> None:
        """Await ``work``, but not beyond a signal or the end of the time."""
        self._listen()
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stopping.wait())
        seconds = None if self._end_us is None else max(0.0, (self._end_us - self._clock.now_us()) / 1_000_000)
        await asyncio.wait((task, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            await task
        else:
            task.cancel()
            self.stop()

    async def run(self, turn: Callable[[], Awaitable[bool]]) -> None:
        """Take turns; after one with nothing to do, wait."""
        self._listen()
        while not self._stopping.is_set() and (self._end_us is None or self._clock.now_us() < self._end_us):
            if await turn():
                await asyncio.sleep(0)
            else:
                await self._clock.sleep(self._idle_seconds)

    def _listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)


def run_process(main: Callable[[Clock], Awaitable[None]]) -> int:
    """Run ``main`` to its end and return the exit code."""
    configure("info")
    try:
        asyncio.run(_awaited(main(SystemClock())))
    except (EdgeError, PipelineError, Poison) as failure:
        logger.critical("stopped: %s", failure)
        return EXIT_FAILED
    return EXIT_DONE


async def _awaited(work: Awaitable[None]) -> None:
    await work
