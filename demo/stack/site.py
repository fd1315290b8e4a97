"""A run on Kinesis: KCL's daemons run the workers, snapshots are in S3, and the projector writes to DynamoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from agents.edge.dynamo_copy import copied_queries
from agents.edge.dynamo_tables import DynamoTables
from agents.edge.projector_queries import ProjectorQueries
from demo.fleet import Fleet
from demo.site import sqlite_books
from demo.stack import needed
from demo.stack.emulators import REGION, Emulators
from demo.stack.fault_proxy import Rates
from demo.stack.proxy import Proxy
from pipeline.ports import Clock, SnapshotStore
from pipeline.settings import KclSettings, KinesisSettings
from pipeline.state.s3_snapshots import S3Snapshots
from pipeline.stream_logs.kinesis import KinesisLog
from pipeline.stream_logs.kinesis_client import config
from pipeline.stream_logs.naming import OpenLog

BUCKET, PREFIX, TABLE = "payments", "snapshots", "payments-projector"
LOG_NAME = f"kinesis:{REGION}"
READS_PER_SECOND = 10.0
"""Of a shard, by who watches the run; the emulator counts no reads."""
COPY_PAUSE_SHARE, COPY_PAUSE_SECONDS_MIN = 8.0, 2.0
"""Between two copies of the projector's table: so many times what a copy took, and at least so long."""
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Daws.cborEnabled=false"
"""Three daemons share a machine with all the rest: they are to start soon rather than run fast.  And they are to ask
for JSON: the emulator's CBOR ends after 16 KiB."""


class KinesisSite:
    """Emulators, and what runs on them."""

    def __init__(self, folder: Path, clock: Clock, faults: Rates | None = None, seed: int = 1) -> None:
        """Raise ``NotInstalledError`` if anything is missing.

        With ``faults`` they are between all processes and Kinesis; the projector then writes to SQLite, since what is
        at stake are the streams, and an emulator that takes a write after the other would only make it longer.
        """
        needed.check()
        self._folder = folder
        self._clock = clock
        self.emulators = Emulators(folder / "services")
        self.proxy = None if faults is None else Proxy(folder / "services", self.emulators.kinesis_port, faults, seed)
        self.log_name = LOG_NAME
        self.worker_log_name = f"kcl:{REGION}"
        self.environment: Mapping[str, str] = self.emulators.environment(self.proxy.port if self.proxy else None)
        self.worker_settings: Mapping[str, str] = {
            "JAVA_TOOL_OPTIONS": _JAVA,
            "PAYMENTS_KCL_RETRIEVAL": "polling",
            "PAYMENTS_KCL_HEAP_MIB": "256",
            "PAYMENTS_STATE_SNAPSHOTS": f"s3://{BUCKET}/{PREFIX}",
            "PAYMENTS_WORKER_SNAPSHOT_SECONDS": "20",
        }
        self.projector_tables: str | None = f"dynamodb:{TABLE}" if faults is None else None
        self.worker_stop_seconds_max = KclSettings().grace_ms / 1000 + 30.0
        self.drain_seconds_max = 480.0
        self.services = Fleet([*self.emulators.members, *([self.proxy.member] if self.proxy else [])])
        self._copy: ProjectorQueries | None = None

    def open_log(self) -> OpenLog:
        """Open the log on the emulator."""
        client = self.emulators.client("kinesis", config())
        return KinesisLog(client, self._clock, LOG_NAME, KinesisSettings(reads_per_second_max=READS_PER_SECOND))

    @asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Have the emulators running, with a bucket and a table."""
        self.services.start()
        try:
            await self.emulators.until_ready(self._clock)
            if self.proxy is not None:
                await self.proxy.until_ready(self._clock)
            await asyncio.to_thread(self._make_bucket)
            if self.projector_tables is None:
                yield
                return
            tables = DynamoTables(self.emulators.client("dynamodb", DynamoTables.config()), TABLE)
            await asyncio.to_thread(tables.create)
            copying = asyncio.create_task(self._keep_copying(tables))
            try:
                yield
            finally:
                copying.cancel()
                tables.close()
        finally:
            self.services.kill_all()

    def snapshots(self, worker: str) -> SnapshotStore:
        """Return the bucket, where a shard's snapshots are the same whoever owned it."""
        return S3Snapshots(self.emulators.client("s3"), BUCKET, PREFIX, self._clock)

    @asynccontextmanager
    async def books(self) -> AsyncIterator[ProjectorQueries | None]:
        """Give the copy of the table that was made last, or the projector's SQLite."""
        if self.projector_tables is not None:
            yield self._copy
            return
        async with sqlite_books(self._folder / "projector") as queries:
            yield queries

    def _make_bucket(self) -> None:
        self.emulators.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )

    async def _keep_copying(self, tables: DynamoTables) -> None:
        """Copy the projector's table again and again, with pauses that leave the machine to the run."""
        while True:
            begun_us = self._clock.now_us()
            self._copy = await asyncio.to_thread(copied_queries, tables)
            took = (self._clock.now_us() - begun_us) / 1_000_000
            await self._clock.sleep(max(COPY_PAUSE_SECONDS_MIN, COPY_PAUSE_SHARE * took))
