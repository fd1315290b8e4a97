"""What a shard takes in from KCL, held against a daemon that says what the test wants."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import LogError, SnapshotError
from pipeline.faust_worker.errors import LastSnapshotError, ShardFailedError
from pipeline.faust_worker.kcl_child import Child
from pipeline.faust_worker.kcl_source import KclSource
from pipeline.faust_worker.ports import WorkerPorts
from pipeline.faust_worker.worker import Worker
from pipeline.observe.metrics import Metrics
from pipeline.ports import Entry, Landed, Manifest, Record, Refused, ShardDescription, Slice, Stores
from pipeline.settings import Settings, WorkerSettings
from pipeline.state.memory import MemoryStores
from pipeline.state.rocks import RocksSettings, RocksStores
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs import kcl
from pipeline.stream_logs.kcl_pipe import DaemonPipe
from pipeline.stream_logs.kinesis_numbers import kinesis_number, record_number
from pipeline.stream_logs.memory import MemoryLog
from pipeline.system_clock import SystemClock
from tests.toy_stage import DESTINATION, FAIL, SOURCE, create_streams, read_downstream, said, toy_stage
from tests.unit.faust_worker.conftest import PATIENCE_SECONDS

ANCHOR = 1 << 41
SHARD = "shardId-000000000000"
NO_TICKS_MS = 3_600_000


class LogLikeKinesis(MemoryLog):
    """A log in memory whose records have numbers as Kinesis's have: even ones."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock, "log-1")
        self.reads: list[int] = []
        self.taking = asyncio.Event()
        """Cleared, it takes no outputs."""
        self.taking.set()
        self.found = asyncio.Event()
        """Cleared, it does not say which shards it has."""
        self.found.set()
        self.asked = asyncio.Event()
        """Set once somebody wants to know."""

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        self.asked.set()
        await self.found.wait()
        return await super().shards(stream)

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        if stream == SOURCE:
            self.reads.append(after)
        part = await super().read(stream, shard_id, max(0, after // 2 - 8), limit)
        records = tuple(Record(_number(record.sequence), *record[1:]) for record in part.records)
        return part._replace(records=records)

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        if stream == DESTINATION:
            await self.taking.wait()
        return await super().put_records(stream, entries)


def _number(sequence: int) -> int:
    return 2 * (sequence + 8)


class Daemon:
    """The other end of the line."""

    def __init__(self, log: LogLikeKinesis, folder: Path) -> None:
        self.log = log
        self.snapshots = MemorySnapshots()
        self.stores: Stores = MemoryStores()
        self._folder = folder
        self._to_child, self._from_child = -1, -1
        self._lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.the_child: Child
        self.running: asyncio.Task[None]

    @asynccontextmanager
    async def child(self, *, restarts_max: int = 0, **settings: float) -> AsyncIterator[None]:
        """Run a child; close the line in the end."""
        stdin, self._to_child = os.pipe()
        self._from_child, stdout = os.pipe()
        self._lines = asyncio.Queue()
        with os.fdopen(stdin, "rb") as incoming, os.fdopen(stdout, "wb") as outgoing:
            pipe = DaemonPipe(incoming, outgoing)
            chosen = Settings(WorkerSettings(**{"tick_ms": NO_TICKS_MS, "snapshot_seconds": 3600.0, **settings}))  # type: ignore[arg-type]
            ports = WorkerPorts(self.log, self.stores, self.snapshots, SystemClock(), self._folder)

            def make(pipe: DaemonPipe) -> Worker:
                source = partial(KclSource, pipe)
                return Worker("child", [toy_stage()], None, ports, chosen, Metrics(), make_source=source)

            reading = asyncio.ensure_future(self._read())
            self.the_child = Child("count", make, pipe, asyncio.Event(), restarts_max)
            self.running = asyncio.ensure_future(self.the_child.run())
            try:
                yield
            finally:
                os.close(self._to_child)
                await asyncio.wait((self.running,), timeout=PATIENCE_SECONDS)
                reading.cancel()
        os.close(self._from_child)

    def on_another_machine(self) -> None:
        """Let the next child find no state but what is in snapshots."""
        self.stores = MemoryStores()

    def say(self, action: str, **content: object) -> None:
        os.write(self._to_child, json.dumps({"action": action, **content}).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._lines.get(), PATIENCE_SECONDS)

    def silent(self) -> bool:
        return self._lines.empty()

    async def dealt_with(self, action: str) -> None:
        assert await self.hear() == {"action": "status", "responseFor": action}

    async def initialize(self, shard_id: str = SHARD) -> None:
        self.say("initialize", shardId=shard_id, sequenceNumber="TRIM_HORIZON", subSequenceNumber=0)
        await self.dealt_with("initialize")

    async def deliver(self, first: int = 0, last: int | None = None) -> None:
        """Deliver the records of the stream from ``first`` to before ``last``."""
        self.say("processRecords", records=await self.records(first, last), millisBehindLatest=0)

    async def records(self, first: int, last: int | None) -> list[dict[str, Any]]:
        part = await self.log.read(SOURCE, SHARD, 0, 10_000)
        self.log.reads.clear()
        return [
            {
                "action": "record",
                "data": b64encode(user_record).decode(),
                "partitionKey": "-",
                "sequenceNumber": str(kinesis_number(ANCHOR, record.sequence)),
                "subSequenceNumber": place,
                "approximateArrivalTimestamp": record.arrival_us / 1000,
            }
            for record in part.records[first:last]
            for place, user_record in enumerate(record.user_records)
        ]

    async def _read(self) -> None:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(self._from_child), "rb")
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            async for line in reader:
                if line.strip():
                    self._lines.put_nowait(json.loads(line))
        finally:
            transport.close()


@asynccontextmanager
async def a_daemon(folder: Path, *words: str) -> AsyncIterator[Daemon]:
    """Give a daemon of a stream in which ``words`` were said, each in a record of three."""
    clock = SystemClock()
    log = LogLikeKinesis(clock)
    await create_streams(log, 1)
    for word in words:
        entry = said("key", word, clock.now_us())
        await log.put_records(SOURCE, [Entry(entry.explicit_hash, [*entry.user_records] * 3)])
    yield Daemon(log, folder)


async def counts(daemon: Daemon) -> list[int]:
    return (await read_downstream(daemon.log)).counts.get("key", [])


def test_a_message_is_answered_when_it_is_committed_and_not_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two") as daemon, daemon.child():
            await daemon.initialize()
            daemon.log.taking.clear()
            await daemon.deliver()
            await asyncio.sleep(0.1)
            assert daemon.silent()
            daemon.log.taking.set()
            await daemon.dealt_with("processRecords")
            assert await counts(daemon) == [1, 2, 3, 4, 5, 6]

    asyncio.run(scenario())


def test_what_was_committed_is_left_out_when_it_is_delivered_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two", "three") as daemon:
            async with daemon.child():
                await daemon.initialize()
                await daemon.deliver(0, 2)
                await daemon.dealt_with("processRecords")
            async with daemon.child():
                await daemon.initialize()
                await daemon.deliver(0, 3)
                await daemon.dealt_with("processRecords")
                assert daemon.log.reads == []
            found = await read_downstream(daemon.log)
            assert (found.counts["key"], found.repeats) == (list(range(1, 10)), 0)

    asyncio.run(scenario())


def test_what_lies_between_the_state_and_the_delivery_is_read_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two", "three", "four") as daemon, daemon.child():
            await daemon.initialize()
            await daemon.deliver(3, 4)
            await daemon.dealt_with("processRecords")
            assert daemon.log.reads
            assert await counts(daemon) == list(range(1, 13))

    asyncio.run(scenario())


def test_half_a_record_is_read_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two") as daemon, daemon.child():
            await daemon.initialize()
            records = await daemon.records(0, 2)
            daemon.say("processRecords", records=records[2:], millisBehindLatest=0)
            await daemon.dealt_with("processRecords")
            assert await counts(daemon) == [1, 2, 3, 4, 5, 6]

    asyncio.run(scenario())


def test_a_checkpoint_follows_a_snapshot_and_is_its_position(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two") as daemon, daemon.child():
            await daemon.initialize()
            await daemon.deliver()
            await daemon.dealt_with("processRecords")
            daemon.say("shutdownRequested")
            asked = await daemon.hear()
            assert asked["action"] == "checkpoint"
            (manifest,) = await daemon.snapshots.manifests("count", SHARD)
            position = int.from_bytes(manifest.position[:16], "big")
            assert record_number(int(asked["sequenceNumber"])) == position
            assert asked["subSequenceNumber"] == 2
            daemon.say("checkpoint", sequenceNumber=asked["sequenceNumber"], subSequenceNumber=2)
            await daemon.dealt_with("shutdownRequested")

    asyncio.run(scenario())


def test_a_shard_that_is_lost_without_its_last_snapshot_is_an_error_in_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one") as daemon:
            async with daemon.child():
                await daemon.initialize()
                await daemon.deliver()
                await daemon.dealt_with("processRecords")

                async def fail(manifest: Manifest, folder: Path) -> None:
                    raise SnapshotError("nobody is there")

                daemon.snapshots.publish = fail  # type: ignore[method-assign]
                for action in ("shutdownRequested", "leaseLost"):
                    daemon.say(action)
                    await daemon.dealt_with(action)
            with pytest.raises(LastSnapshotError):
                await daemon.running

    asyncio.run(scenario())


def test_the_end_is_checkpointed_behind_the_end_snapshot(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two") as daemon, daemon.child():
            await daemon.initialize()
            await daemon.deliver(0, 1)
            await daemon.dealt_with("processRecords")
            await daemon.log.split(SOURCE, SHARD, 1 << 127)
            daemon.say("shardEnded")
            assert await daemon.hear() == {"action": "checkpoint", "sequenceNumber": None, "subSequenceNumber": None}
            assert [manifest.ended for manifest in await daemon.snapshots.manifests("count", SHARD)] == [True]
            assert await counts(daemon) == [1, 2, 3, 4, 5, 6]
            daemon.say("checkpoint", error="ThrottlingException")
            assert (await daemon.hear())["action"] == "checkpoint"
            daemon.say("checkpoint")
            await daemon.dealt_with("shardEnded")

    asyncio.run(scenario())


async def end_the_shard(daemon: Daemon) -> None:
    """Split the shard; let a child read it to its end, and its checkpoint there be made."""
    async with daemon.child():
        await daemon.initialize()
        await daemon.deliver()
        await daemon.dealt_with("processRecords")
        await daemon.log.split(SOURCE, SHARD, 1 << 127)
        daemon.say("shardEnded")
        assert (await daemon.hear())["action"] == "checkpoint"
        daemon.say("checkpoint")
        await daemon.dealt_with("shardEnded")


async def ends_of(daemon: Daemon) -> list[Manifest]:
    return [manifest for manifest in await daemon.snapshots.manifests("count", SHARD) if manifest.ended]


@pytest.mark.parametrize("another_machine", [True, False])
def test_a_child_whose_parent_left_a_damaged_end_reads_the_parent_again(tmp_path: Path, another_machine: bool) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two") as daemon:
            await end_the_shard(daemon)
            (end,) = await ends_of(daemon)
            for digest in end.files.values():
                daemon.snapshots.files[digest] = b"damaged"
            if another_machine:
                daemon.on_another_machine()
            async with daemon.child():
                await daemon.initialize("shardId-000000000001")
            assert await ends_of(daemon) == [end]
            found = await read_downstream(daemon.log)
            assert found.counts["key"] == [1, 2, 3, 4, 5, 6]

    asyncio.run(scenario())


def test_both_children_of_a_split_that_miss_their_parents_end_begin_beside_each_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", "two") as daemon:
            await end_the_shard(daemon)
            (end,) = await ends_of(daemon)
            for digest in end.files.values():
                daemon.snapshots.files[digest] = b"damaged"
            other = Daemon(daemon.log, tmp_path)
            other.snapshots = daemon.snapshots
            for each in (daemon, other):
                each.stores = RocksStores(tmp_path / "state", RocksSettings())
            async with daemon.child(), other.child():
                await asyncio.gather(
                    daemon.initialize("shardId-000000000001"), other.initialize("shardId-000000000002")
                )

    asyncio.run(scenario())


def test_an_end_snapshot_that_is_damaged_at_once_is_made_again_before_the_children_begin(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one") as daemon, daemon.child(restarts_max=1):
            await daemon.initialize()
            await daemon.log.split(SOURCE, SHARD, 1 << 127)
            fetch = daemon.snapshots.fetch

            async def damaged(manifest: Manifest, folder: Path) -> None:
                daemon.snapshots.fetch = fetch  # type: ignore[method-assign]
                for digest in manifest.files.values():
                    daemon.snapshots.files[digest] = b"damaged"
                await fetch(manifest, folder)

            daemon.snapshots.fetch = damaged  # type: ignore[method-assign]
            daemon.say("shardEnded")
            assert (await daemon.hear())["action"] == "checkpoint"
            (end,) = await ends_of(daemon)
            await daemon.snapshots.fetch(end, tmp_path / "whole")
            daemon.say("checkpoint")
            await daemon.dealt_with("shardEnded")

    asyncio.run(scenario())


def test_a_child_says_of_its_shard_what_there_is_to_say_also_before_it_has_its_state(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one") as daemon, daemon.child():
            assert daemon.the_child.status() is None
            daemon.log.found.clear()
            daemon.say("initialize", shardId=SHARD)
            await daemon.log.asked.wait()
            waiting = daemon.the_child.status()
            assert waiting is not None
            assert (waiting.shard, waiting.position) == (SHARD, None)
            assert waiting.progressed_us > 0
            daemon.log.found.set()
            await daemon.dealt_with("initialize")
            await daemon.deliver()
            await daemon.dealt_with("processRecords")
            status = daemon.the_child.status()
            assert status is not None
            assert status.position is not None
            assert status.progressed_us > waiting.progressed_us

    asyncio.run(scenario())


def test_a_shard_that_goes_on_failing_ends_the_process_unanswered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one", FAIL) as daemon, daemon.child(restarts_max=2, batch_user_records_max=3):
            await daemon.initialize()
            await daemon.deliver()
            with pytest.raises(ShardFailedError):
                await asyncio.wait_for(daemon.running, PATIENCE_SECONDS)
            assert daemon.silent()
            assert await counts(daemon) == [1, 2, 3]

    asyncio.run(scenario())


def test_a_shard_that_failed_begins_again_with_the_message_in_hand(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one") as daemon, daemon.child(restarts_max=3):
            refused = daemon.log.put_records
            await daemon.initialize()

            async def fail_once(stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
                daemon.log.put_records = refused  # type: ignore[method-assign]
                raise LogError("the log is not there")

            daemon.log.put_records = fail_once  # type: ignore[method-assign]
            await daemon.deliver()
            await daemon.dealt_with("processRecords")
            assert await counts(daemon) == [1, 2, 3]

    asyncio.run(scenario())


def test_a_child_ends_when_the_daemon_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_daemon(tmp_path, "one") as daemon:
            async with daemon.child():
                await daemon.initialize()
            await daemon.running

    asyncio.run(scenario())


def test_what_is_not_understood_is_an_error_that_shows_no_data() -> None:
    with pytest.raises(LogError, match="does not understand") as error:
        kcl.decode(b'{"action":"processRecords","records":[{"data":"c2VjcmV0"}]}')
    assert "c2VjcmV0" not in str(error.value)


def test_a_record_with_a_hole_is_refused() -> None:
    number = str(kinesis_number(ANCHOR, 20))
    records = [kcl.DeliveredRecord(b"a", number, 0, 1.0), kcl.DeliveredRecord(b"c", number, 2, 1.0)]
    with pytest.raises(LogError, match=r"user record 2 of record .* where 1 was due"):
        kcl.whole_records(records)
