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
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from pipeline.faust_worker import interpreter
from pipeline.faust_worker.errors import LastSnapshotError
from pipeline.faust_worker.process import end_after, run_to_exit_code, run_until, stopped_by_signals
from pipeline.kcl_daemon import child_metrics, shard_status
from pipeline.kcl_daemon.shard_status import ShardStatus
from pipeline.observe.logging import about
from pipeline.stream_logs.backoff import Backoff
from pipeline.stream_logs.kcl_pipe import DaemonPipe
from pipeline.system_clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.faust_worker.worker import Worker
    from pipeline.observe.metrics import Metrics
    from pipeline.settings import Settings

    MakeWorker = Callable[[DaemonPipe], Worker]

RESTART_SECONDS_FIRST = 0.2
RESTART_SECONDS_LONGEST = 2.0
STATUS_SECONDS = 1.0
METRICS_SECONDS = 5.0
_US_PER_MS = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """This process: a child, and what it tells of itself."""

    stage: str
    folder: Path
    """Of its supervisor, for what all children tell."""
    metrics: Metrics
    settings: Settings

    def run(self, make: MakeWorker, from_daemon: BinaryIO, to_daemon: BinaryIO) -> int:
        """Serve the daemon with the workers that ``make`` returns; return the process's exit code."""
        return run_to_exit_code(partial(self._serve, make, from_daemon, to_daemon))

    async def _serve(self, make: MakeWorker, from_daemon: BinaryIO, to_daemon: BinaryIO) -> None:
        seconds_max = self.settings.worker.shutdown_seconds_max
        stop = stopped_by_signals(seconds_max)
        pipe = DaemonPipe(from_daemon, to_daemon, partial(end_after, seconds_max))
        child = Child(self.stage, make, pipe, stop, self.settings.kcl.shard_restarts_max)
        interpreter.prepare()
        serving = asyncio.ensure_future(child.run())
        telling = [asyncio.ensure_future(self._tell(child))]
        if self.settings.observe.port:
            telling.append(asyncio.ensure_future(self._tell_metrics()))
        try:
            await asyncio.wait((serving, *telling), return_when=asyncio.FIRST_COMPLETED)
            for task in telling:
                if task.done():
                    task.result()
            await serving
        except LastSnapshotError:
            shard_status.note_unsaved(self.folder, os.getpid())
            raise
        finally:
            for task in (serving, *telling):
                task.cancel()
            shard_status.remove(self.folder, os.getpid())
            child_metrics.remove(self.folder, os.getpid())

    async def _tell(self, child: Child) -> None:
        """Write the status file every second."""
        while True:
            status = child.status()
            if status is not None:
                shard_status.write(self.folder, status)
            await asyncio.sleep(STATUS_SECONDS)

    async def _tell_metrics(self) -> None:
        """Write the metrics file again and again, in a thread: it takes milliseconds that no batch should wait for."""
        while True:
            await asyncio.to_thread(child_metrics.write, self.folder, os.getpid(), self.metrics)
            await asyncio.sleep(METRICS_SECONDS)


class Child:
    """One worker after the other."""

    def __init__(self, stage: str, make: MakeWorker, pipe: DaemonPipe, stop: asyncio.Event, restarts_max: int) -> None:
        self._stage = stage
        self._make = make
        self._pipe = pipe
        self._stop = stop
        self._restarts_max = restarts_max
        self._restarts = 0
        self._progressed_us = 0
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

    def status(self) -> ShardStatus | None:
        """Return what is to be told of the shard, also while its state is not there; None before there is a shard."""
        if self._pipe.shard_id is None:
            return None
        worker = self._worker
        if worker is not None and worker.batches_committed:
            self._restarts = 0
        owned = next(iter(worker.owned()), None) if worker is not None else None
        if owned is not None:
            self._progressed_us = owned.progressed_us
        elif self._progressed_us == 0:
            self._progressed_us = SystemClock().now_us()
        return ShardStatus(
            pid=os.getpid(),
            stage=self._stage,
            shard=self._pipe.shard_id,
            position=None if owned is None else str(owned.shard.position),
            lag_records=0 if owned is None else owned.behind_records,
            lag_ms=0.0 if owned is None else owned.behind_us / _US_PER_MS,
            progressed_us=self._progressed_us,
            restarts=self._restarts,
        )
