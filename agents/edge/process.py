"""What every edge process has: its options, its log, a loop that a signal ends, and lines on stderr.

An edge's work is a ``turn``: it takes in a batch, makes its effects durable and says whether there is more at once.
Otherwise it waits a moment, so that what comes meanwhile is one batch, and one commit.

SIGTERM and SIGINT let the turn in hand finish; then the process exits with 0.  What it cannot go on with ends it with
3: its store is as the last commit left it, and a restart goes on from there.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sqlite3
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from agents.edge.errors import EdgeError
from pipeline.errors import PipelineError, Poison
from pipeline.observe.logging import configure
from pipeline.stream_logs.naming import FORMS
from pipeline.system_clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipeline.ports import Clock

EXIT_DONE = 0
EXIT_FAILED = 3

logger = logging.getLogger("payments.edge")


def edge_arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every edge has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--log", required=True, metavar=FORMS, help="the log to work on")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder for this process's own store")
    parser.add_argument("--seconds", type=positive, default=None, help="stop after so many seconds (default: never)")
    return parser


def positive(text: str) -> float:
    """Return the number that an option's ``text`` is; raise ``argparse.ArgumentTypeError`` unless it is above zero."""
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not 0 < number < inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return number


class Stop:
    """Whether the process was told to stop: by a signal, or by itself."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT for requests from here on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.request)

    def request(self) -> None:
        """Let the turn in hand be the last."""
        self._requested.set()

    @property
    def requested(self) -> bool:
        """Say whether to stop."""
        return self._requested.is_set()

    async def wait(self) -> None:
        """Return when it is time to stop."""
        await self._requested.wait()


class Turns:
    """Runs turns until it is time to stop, or for so many seconds."""

    def __init__(self, clock: Clock, stop: Stop, seconds: float | None, idle_seconds: float) -> None:
        self._clock = clock
        self._stop = stop
        self._idle_seconds = idle_seconds
        self._end_us = None if seconds is None else clock.now_us() + round(seconds * 1_000_000)

    async def until_stopped(self, work: Awaitable[None]) -> None:
        """Await ``work``, but not beyond the time to stop."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stop.wait())
        seconds = None if self._end_us is None else max(0.0, (self._end_us - self._clock.now_us()) / 1_000_000)
        await asyncio.wait((task, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            await task
        else:
            task.cancel()
            self._stop.request()

    async def run(self, turn: Callable[[], Awaitable[bool]]) -> None:
        """Take turns; behind one that has no more to do at once, wait."""
        while not self._stop.requested and (self._end_us is None or self._clock.now_us() < self._end_us):
            if await turn():
                await asyncio.sleep(0)
            else:
                await self._clock.sleep(self._idle_seconds)


def run_process(main: Callable[[Clock, Stop], Awaitable[None]]) -> int:
    """Run ``main`` to its end and return the exit code."""
    configure("info")
    try:
        uvloop.run(_listening(main))
    except (EdgeError, PipelineError, Poison, sqlite3.Error, OSError) as failure:
        logger.critical("stopped: %s", failure)
        return EXIT_FAILED
    return EXIT_DONE


async def _listening(main: Callable[[Clock, Stop], Awaitable[None]]) -> None:
    stop = Stop()
    stop.listen()
    await main(SystemClock(), stop)
