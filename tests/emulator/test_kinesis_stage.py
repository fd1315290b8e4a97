"""A stage on Kinesis: what it cannot read is parked, and the state of one stream is not taken for that of another."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.errors import InvariantViolation
from pipeline.kernel import system_events
from pipeline.kernel.system_events import Parked
from pipeline.ports import ShardDescription
from pipeline.publisher import Publisher
from pipeline.restore import Restorer
from pipeline.shard import Shard
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs.aggregation import pack
from pipeline.system_clock import SystemClock
from tests.emulator.faulty_client import FaultyClient
from tests.log_under_test import LogUnderTest
from tests.toy_stage import PARKED, SOURCE, create_streams, from_shards, read_downstream, said, say, toy_stage

pytestmark = pytest.mark.emulator

STAGE = toy_stage()


class Worker:
    """A worker of the toy stage, and what it has kept."""

    def __init__(self, log: LogUnderTest, folder: Path) -> None:
        self._log = log
        self._restorer = Restorer(STAGE, log.log, MemoryStores(), MemorySnapshots(), folder)
        log.wait(create_streams(log.log, 1))

    def start(self) -> Shard:
        (description,) = self._log.wait(self._shards())
        return Shard(
            STAGE, self._log.wait(self._restorer.restore(description)), Publisher(self._log.log, SystemClock())
        )

    def take_in(self, shard: Shard) -> None:
        """Process everything that is there."""
        (description,) = self._log.wait(self._shards())
        given = self._log.wait(self._log.log.read(SOURCE, description.shard_id, shard.position.sequence, 1_000))
        self._log.wait(shard.process(given.records))

    async def _shards(self) -> list[ShardDescription]:
        return list(await self._log.log.shards(SOURCE))


def test_a_damaged_aggregate_is_parked_whole_and_what_is_around_it_is_processed(
    client: FaultyClient, log: LogUnderTest, tmp_path: Path
) -> None:
    worker = Worker(log, tmp_path)
    shard = worker.start()
    entry = said("k", "one", 1)
    damaged = pack(entry.explicit_hash, entry.user_records)[:-1] + b"?"
    log.wait(say(log.log, 1, ("k", "one")))
    client.real.put_record(StreamName=SOURCE, Data=damaged, PartitionKey="k")
    log.wait(say(log.log, 1, ("k", "two")))

    worker.take_in(shard)

    assert log.wait(read_downstream(log.log)).counts == {"k": [1, 2]}
    (envelope,) = log.wait(from_shards(log.log, PARKED))
    parked = system_events.decode(envelope.kind, envelope.version, envelope.body)
    assert isinstance(parked, Parked)
    assert parked.record == damaged


def test_a_restart_goes_on_behind_the_position_in_the_state(log: LogUnderTest, tmp_path: Path) -> None:
    worker = Worker(log, tmp_path)
    log.wait(say(log.log, 1, ("k", "one")))
    worker.take_in(worker.start())
    log.wait(say(log.log, 1, ("k", "two")))

    worker.take_in(worker.start())

    downstream = log.wait(read_downstream(log.log))
    assert (downstream.counts, downstream.repeats) == ({"k": [1, 2]}, 0)


def test_state_of_a_stream_that_was_deleted_is_not_taken_for_that_of_its_successor(
    client: FaultyClient, log: LogUnderTest, tmp_path: Path
) -> None:
    worker = Worker(log, tmp_path)
    log.wait(say(log.log, 1, ("k", "one")))
    worker.take_in(worker.start())
    client.real.delete_stream(StreamName=SOURCE)
    while SOURCE in client.real.list_streams()["StreamNames"]:
        time.sleep(0.01)
    log.wait(create_streams(log.log, 1))

    with pytest.raises(InvariantViolation, match="wrong folder, or wrong log"):
        worker.start()
