"""Where a run takes place: which log, where the snapshots are, what the projector writes, what else must run.

A site has no part in what is run or in what is proved; ``demo.run`` has that, and it is the same everywhere.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from agents.edge.projector_queries import ProjectorQueries, open_queries
from agents.edge.projector_store import FILE as PROJECTOR_FILE
from demo.fleet import Fleet
from pipeline.ports import Clock, SnapshotStore
from pipeline.state.snapshots import FolderSnapshots
from pipeline.stream_logs.local import LocalLog
from pipeline.stream_logs.naming import OpenLog


class Site(Protocol):
    """What a run asks of its surroundings."""

    log_name: str
    """As edges name the log."""
    worker_log_name: str
    environment: Mapping[str, str]
    """Of every process."""
    worker_settings: Mapping[str, str]
    """Environment variables of workers besides."""
    projector_tables: str | None
    """As the projector names its tables; None for its own folder."""
    worker_stop_seconds_max: float
    drain_seconds_max: float
    """From the last submission until everything has an outcome, and the projector has it."""
    services: Fleet
    """What the run's own processes stand on."""

    def open_log(self) -> OpenLog:
        """Return the log."""

    def prepared(self) -> AbstractAsyncContextManager[None]:
        """Have the services running, up to what the run's own processes expect to find, but for the streams."""

    def snapshots(self, worker: str) -> SnapshotStore:
        """Return where the worker of that name publishes its snapshots."""

    def books(self) -> AbstractAsyncContextManager[ProjectorQueries | None]:
        """Give the questions to the projector's tables, as they are or were a moment ago; None before there are any."""


class EmbeddedSite:
    """One folder: the embedded log, snapshots in folders, SQLite."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self.log_name = self.worker_log_name = f"local:{folder / 'log'}"
        self.environment: Mapping[str, str] = os.environ
        self.worker_settings: Mapping[str, str] = {}
        self.projector_tables: str | None = None
        self.worker_stop_seconds_max = 20.0
        self.drain_seconds_max = 120.0
        """The longest answer deadline is 15 s, and a cycle."""
        self.services = Fleet()

    def open_log(self) -> OpenLog:
        """Open the embedded log."""
        return LocalLog(self._folder / "log", self._clock)

    @asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Do nothing: files need no service."""
        yield

    def snapshots(self, worker: str) -> SnapshotStore:
        """Return the worker's own folder."""
        return FolderSnapshots(self._folder / worker / "snapshots")

    @asynccontextmanager
    async def books(self) -> AsyncIterator[ProjectorQueries | None]:
        """Open the projector's SQLite."""
        async with sqlite_books(self._folder / "projector") as queries:
            yield queries


@asynccontextmanager
async def sqlite_books(folder: Path) -> AsyncIterator[ProjectorQueries | None]:
    """Give the questions to the projector's tables in ``folder``; None before it has made them."""
    if not (folder / PROJECTOR_FILE).exists():
        yield None
        return
    queries = open_queries(folder)
    try:
        yield queries if queries.are_possible() else None
    finally:
        queries.close()
