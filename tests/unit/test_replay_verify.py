"""A replay proves the whole of what was recorded, or says no."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.virtual_time import finished
from pipeline.kernel import system_events
from pipeline.kernel.envelope import FROM_EDGE, FROM_SHARD, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.position import Position, Source, pack_lineage
from pipeline.ports import Entry, Manifest
from pipeline.publisher import NoPublisher
from pipeline.restore import Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs.memory import MemoryLog
from replay.verify import ShardVerdict, verify_stage
from tests.toy_stage import SOURCE, Said, create_streams, say, toy_stage
from tests.virtual_clock import SOME_DAY_US, VirtualClock

FIRST = "shardId-000000000000"


class Recorded:
    """A stream of one shard, and a shard that has read some of it."""

    def __init__(self, folder: Path) -> None:
        self.log = MemoryLog(VirtualClock(), "log-1")
        self._stores = MemoryStores()
        self._snapshots = MemorySnapshots()
        self._folder = folder
        self._taken = 0
        finished(create_streams(self.log, 1))
        (description,) = finished(self.log.shards(SOURCE))
        restorer = Restorer(toy_stage(), self.log, self._stores, self._snapshots, folder / "scratch")
        self._shard = Shard(toy_stage(), finished(restorer.restore(description)), NoPublisher())

    def say(self, *words: str) -> None:
        finished(say(self.log, SOME_DAY_US, *(("k", word) for word in words)))

    def put(self, record: bytes) -> None:
        finished(self.log.put_records(SOURCE, [Entry(FULL_RANGE.first_bytes, [record])]))

    def put_tick(self) -> None:
        kind, version, body = system_events.encode(system_events.Tick())
        first, last = FULL_RANGE.first_bytes, FULL_RANGE.last_bytes
        self.put(encode(Envelope(FROM_EDGE, kind, version, SOME_DAY_US, first, last, edge_lineage(1, 1), b"t", body)))

    def take_in(self) -> None:
        found = finished(self.log.read(SOURCE, FIRST, self._shard.position.sequence, 1_000))
        finished(self._shard.process(found.records))

    def snapshot(self) -> Manifest:
        self._taken += 1
        folder = self._folder / f"snapshot-{self._taken}"
        snapshot = take_snapshot(self._shard, self._stores, self._snapshots, folder, FileDigests())
        return asyncio.run(snapshot)

    def verify(self, live: Manifest) -> ShardVerdict:
        (verdict,) = asyncio.run(verify_stage(toy_stage(), self.log, [live]))
        return verdict


def an_output_of_another_shard(words: str) -> bytes:
    source = Source("log-1", "elsewhere", FIRST).pack()
    lineage = pack_lineage(Position(7, 0).pack(), 0)
    hashed = hash_key("k")
    kind, version, body = toy_stage().codec.encode(Said("k", words))
    return encode(Envelope(FROM_SHARD, kind, version, SOME_DAY_US, hashed, hashed, lineage, source, body))


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def test_a_replay_up_to_a_snapshot_at_the_end_is_equal(recorded: Recorded) -> None:
    recorded.say("one", "two")
    recorded.take_in()

    verdict = recorded.verify(recorded.snapshot())

    assert (verdict.equal, verdict.records, verdict.left_out) == (True, 2, 0)


def test_a_replay_that_comes_to_another_state_is_not_equal(recorded: Recorded) -> None:
    recorded.say("one", "two")
    recorded.take_in()

    assert not recorded.verify(replace(recorded.snapshot(), state_digest=b"another")).equal
    assert not recorded.verify(replace(recorded.snapshot(), chain_head=b"another")).equal


def test_a_snapshot_of_a_part_proves_nothing_of_the_whole(recorded: Recorded) -> None:
    recorded.say("one")
    recorded.take_in()
    live = recorded.snapshot()
    recorded.say("two", "three")
    recorded.take_in()

    verdict = recorded.verify(live)

    assert verdict.live_head == verdict.replayed_head
    assert (verdict.equal, verdict.left_out) == (False, 2)


def test_what_is_no_envelope_counts_among_what_was_left_out(recorded: Recorded) -> None:
    live = recorded.snapshot()
    recorded.put(b"rubbish")

    assert recorded.verify(live).left_out == 1


def test_what_its_writer_put_once_more_behind_the_last_snapshot_is_no_news(recorded: Recorded) -> None:
    output = an_output_of_another_shard("one")
    recorded.put(output)
    recorded.take_in()
    live = recorded.snapshot()
    recorded.put(output)

    assert recorded.verify(live).equal


def test_time_that_passed_behind_the_last_snapshot_does_not_count(recorded: Recorded) -> None:
    recorded.say("one")
    recorded.take_in()
    live = recorded.snapshot()
    recorded.put_tick()

    assert recorded.verify(live).equal
