"""Keeps the daemons of a worker running, and shows on one page what they do.

    0  stopped in order after SIGTERM or SIGINT
    3  could not start, or in the end a daemon had to be killed or a shard's last snapshot could not be taken

Which shards are here, how far behind they are and since when each made progress is told by their processes, in status
files.  A shard that does not progress, which it does with every tick, makes this process unhealthy, is counted in a
metric, and is told as an error, once.  A daemon that is not running makes it unhealthy too.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import StateError
from pipeline.kcl_daemon import shard_status
from pipeline.kcl_daemon.child_metrics import AllProcesses
from pipeline.observe import metric_defs as defs
from pipeline.observe.health import Health, ObservationServer
from pipeline.observe.logging import about

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.kcl_daemon.daemon import Daemon
    from pipeline.kcl_daemon.shard_status import ShardStatus
    from pipeline.observe.metrics import Metrics
    from pipeline.ports import Clock
    from pipeline.settings import Settings

STOPPED = 0
COULD_NOT_GO_ON = 3
LOOK_SECONDS = 1.0
_US_PER_MS = 1_000
_US_PER_SECOND = 1_000_000

_log = logging.getLogger(__name__)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for one supervisor; ``StateError`` if another one has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"{folder} is in use: another worker of KCL runs here; give each a --data of its own"
            ) from None
        yield


class Supervisor:
    """All daemons of one process."""

    def __init__(
        self, daemons: Sequence[Daemon], statuses: Path, clock: Clock, settings: Settings, metrics: Metrics
    ) -> None:
        self._daemons = daemons
        self._statuses = statuses
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._stop = asyncio.Event()
        self._stalled: set[tuple[str, str]] = set()
        self._unsaved_before: set[str] = set()
        """Notes of children that ended before they were told to: others have taken their shards over."""

    def stop(self) -> None:
        """Let every daemon end in order, and :meth:`run` return."""
        self._unsaved_before |= shard_status.unsaved(self._statuses)
        self._stop.set()

    async def run(self) -> int:
        """Run until a signal; return the process's exit code."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self.stop)
        observe = self._settings.observe
        metrics = AllProcesses(self._metrics, self._statuses)
        page = ObservationServer(observe.host, observe.port, metrics, self.health) if observe.port else None
        looking = asyncio.ensure_future(self._look())
        try:
            async with asyncio.TaskGroup() as running:
                for daemon in self._daemons:
                    running.create_task(daemon.run(self._stop))
        finally:
            looking.cancel()
            if page is not None:
                page.close()
        killed = [daemon.stage for daemon in self._daemons if daemon.killed]
        unsaved = len(shard_status.unsaved(self._statuses) - self._unsaved_before)
        _log.info("worker stopped", extra=about(killed=killed, without_last_snapshot=unsaved))
        return COULD_NOT_GO_ON if killed or unsaved else STOPPED

    def health(self) -> Health:
        """Return what is here and how far it is."""
        now_us = self._clock.now_us()
        shards = shard_status.read_all(self._statuses)
        stalled = [f"{shard.stage}/{shard.shard}" for shard in shards if self._is_stalled(shard, now_us)]
        daemons = [
            {
                "stage": daemon.stage,
                "pid": daemon.pid,
                "running_ms": (now_us - daemon.started_us) / _US_PER_MS if daemon.pid is not None else None,
                "restarts": daemon.restarts,
            }
            for daemon in self._daemons
        ]
        down = [daemon.stage for daemon in self._daemons if daemon.pid is None]
        details = {
            "stopping": self._stop.is_set(),
            "stalled": stalled,
            "down": down,
            "daemons": daemons,
            "shards": [
                {
                    "stage": shard.stage,
                    "shard": shard.shard,
                    "pid": shard.pid,
                    "position": shard.position,
                    "lag_records": shard.lag_records,
                    "lag_ms": shard.lag_ms,
                    "progressed_us": shard.progressed_us,
                    "since_progress_ms": (now_us - shard.progressed_us) / _US_PER_MS,
                    "restarts": shard.restarts,
                }
                for shard in shards
            ],
        }
        return Health(not stalled and not down, details)

    async def _look(self) -> None:
        """Look every second which shards stand still; count them, and tell of each once."""
        while True:
            now_us = self._clock.now_us()
            shards = shard_status.read_all(self._statuses)
            stalled = {(shard.stage, shard.shard): shard for shard in shards if self._is_stalled(shard, now_us)}
            for daemon in self._daemons:
                count = sum(stage == daemon.stage for stage, _ in stalled)
                self._metrics.gauge(defs.STALLED_SHARDS, daemon.stage).set(count)
                self._metrics.gauge(defs.DAEMON_RESTARTS, daemon.stage).set(daemon.restarts)
            for stage, name in stalled.keys() - self._stalled:
                since = (now_us - stalled[stage, name].progressed_us) / _US_PER_SECOND
                _log.error("no progress for %.0f s", since, extra=about(stage=stage, shard=name))
            self._stalled = set(stalled)
            await self._clock.sleep(LOOK_SECONDS)

    def _is_stalled(self, shard: ShardStatus, now_us: int) -> bool:
        return now_us - shard.progressed_us > self._settings.worker.stalled_seconds_max * _US_PER_SECOND
