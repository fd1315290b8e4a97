"""Keeps the fork server running beside the daemons, which cannot start a shard without it.

It has a session of its own, so that a signal for a terminal's processes does not reach those of the shards: they are
told to stop by their daemon.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from pipeline.observe.logging import about

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pipeline.stream_logs.backoff import Backoff

_log = logging.getLogger(__name__)


@asynccontextmanager
async def kept_running(command: Sequence[str], backoff: Backoff, end_seconds_max: float) -> AsyncIterator[None]:
    """Keep a fork server running; in the end wait for it and all that it has forked, and then kill what is left."""
    over = asyncio.Event()
    keeping = asyncio.ensure_future(_keep(command, backoff, end_seconds_max, over))
    try:
        yield
    finally:
        over.set()
        await keeping


async def _keep(command: Sequence[str], backoff: Backoff, end_seconds_max: float, over: asyncio.Event) -> None:
    while not over.is_set():
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, start_new_session=True, close_fds=False
        )
        ended = asyncio.ensure_future(process.wait())
        told = asyncio.ensure_future(over.wait())
        await asyncio.wait((ended, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if ended.done():
            seconds = backoff.failed()
            _log.error("the fork server ended with %s and is started anew in %.1f s", ended.result(), seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), seconds)
        else:
            await _end(process, ended, end_seconds_max)


async def _end(process: asyncio.subprocess.Process, ended: asyncio.Future[int], seconds_max: float) -> None:
    if process.stdin is not None:
        process.stdin.close()
    await asyncio.wait((ended,), timeout=seconds_max)
    if not ended.done():
        _log.error("killing what is left of the fork server", extra=about(pid=process.pid))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await ended
