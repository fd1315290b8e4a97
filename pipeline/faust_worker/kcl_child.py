"""The process that the KCL daemon runs for one shard: a worker, made anew when its shard failed.

    make a worker ──> run ──> the daemon closes the line ──> end
         ^             │ anything raised
         └── wait <────┘ … until it raised so often without a batch committed between: end

What a shard had in memory when a step failed is lost with its worker; the next one begins at the last commit, with the
message that the daemon is still waiting for.  Only what goes on failing ends the process, and that ends the daemon with
all of its shards (KCL has it so), which its supervisor then starts anew.  Nothing is ever answered that was not
committed, whichever way this ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from pipeline.faust_worker import interpreter
from pipeline.faust_worker.process import end_after, run_to_exit_code, run_until, stopped_by_signals
from pipeline.kcl_daemon import shard_status
from pipeline.kcl_daemon.shard_status import ShardStatus
from pipeline.observe.logging import about
from pipeline.stream_logs.backoff import Backoff
from pipeline.stream_logs.kcl_pipe import DaemonPipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.faust_worker.worker import Worker
    from pipeline.settings import Settings

    MakeWorker = Callable[[DaemonPipe], Worker]

RESTART_SECONDS_FIRST = 0.2
RESTART_SECONDS_LONGEST = 2.0
STATUS_SECONDS = 1.0

_log = logging.getLogger(__name__)


def run_child(make: MakeWorker, to_daemon: BinaryIO, status: Path, supervisor: int, settings: Settings) -> int:
    """Serve the daemon with the workers that ``make`` returns; return the process's exit code."""
    return run_to_exit_code(partial(_serve, make, to_daemon, status, supervisor, settings))


async def _serve(make: MakeWorker, to_daemon: BinaryIO, status: Path, supervisor: int, settings: Settings) -> None:
    stop = stopped_by_signals(settings.worker.shutdown_seconds_max)
    at_end = partial(end_after, settings.worker.shutdown_seconds_max)
    pipe = DaemonPipe(sys.stdin.buffer, to_daemon, at_end)
    child = Child(make, pipe, stop, settings.kcl.shard_restarts_max)
    telling = asyncio.ensure_future(child.tell(status, supervisor))
    interpreter.prepare()
    try:
        await child.run()
    finally:
        telling.cancel()
        shard_status.remove(status, os.getpid())


class Child:
    """One worker after the other."""

    def __init__(self, make: MakeWorker, pipe: DaemonPipe, stop: asyncio.Event, restarts_max: int) -> None:
        self._make = make
        self._pipe = pipe
        self._stop = stop
        self._restarts_max = restarts_max
        self._restarts = 0
        self._worker: Worker | None = None

    async def run(self) -> None:
        """Run workers until the daemon has closed the line, or one fails too often."""
        backoff = Backoff(RESTART_SECONDS_FIRST, RESTART_SECONDS_LONGEST)
        while True:
            self._worker = worker = self._make(self._pipe)
            try:
                await run_until(self._stop, worker)
            except Exception as error:
                if worker.batches_committed:
                    self._restarts = 0
                    backoff.succeeded()
                if self._pipe.closed or self._stop.is_set() or self._restarts >= self._restarts_max:
                    raise
                self._restarts += 1
                _log.exception(
                    "the shard failed and begins again at its last commit, try %d of %d: %s",
                    self._restarts,
                    self._restarts_max,
                    error,
                    extra=about(shard=self._pipe.shard_id),
                )
            else:
                return
            finally:
                await worker.close()
            await asyncio.sleep(backoff.failed())

    async def tell(self, folder: Path, supervisor: int) -> None:
        """Write the status file every second; end the process when its supervisor is gone."""
        while True:
            for owned in self._worker.owned() if self._worker is not None else ():
                if self._restarts and self._worker is not None and self._worker.batches_committed:
                    self._restarts = 0
                shard = ShardStatus(
                    pid=os.getpid(),
                    stage=owned.stage.name,
                    shard=owned.shard_id,
                    position=str(owned.shard.position),
                    lag_records=owned.behind_records,
                    lag_ms=owned.behind_us / 1000,
                    progressed_us=owned.progressed_us,
                    restarts=self._restarts,
                )
                shard_status.write(folder, shard)
            if not shard_status.is_running(supervisor):
                _log.error("the supervisor of the KCL daemon is gone; stopping", extra=about(pid=supervisor))
                self._stop.set()
                return
            await asyncio.sleep(STATUS_SECONDS)
