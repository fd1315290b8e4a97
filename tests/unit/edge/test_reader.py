"""An edge tails every shard, parents first, from where its own store says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.edge.database import EdgeDatabase
from agents.edge.errors import EdgeError
from agents.edge.producer import EdgeProducer, Identity
from agents.edge.reader import Arrived, SqlitePlaces, StreamTail, event_of
from agents.streams import OUTCOMES
from pipeline.errors import TrimmedRangeError
from pipeline.kernel.hashrange import LAST_HASH, hash_key
from pipeline.stream_logs.memory import MemoryLog
from schemas.events import PaymentRepeated
from tests.unit.edge.upstream import Upstream, a_memory_log, now, put_raw
from tests.virtual_clock import VirtualClock

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"
QUARTER, HALF = (LAST_HASH + 1) // 4, (LAST_HASH + 1) // 2


def of(number: int) -> PaymentRepeated:
    return PaymentRepeated(f"payment-{number}", of="another")


def numbers(arrived: list[Arrived]) -> list[int]:
    events = [event_of(record.envelope) for record in arrived if record.envelope is not None]
    return [int(event.payment_id.split("-")[1]) for event in events if isinstance(event, PaymentRepeated)]


def key_in(first: int, last: int) -> str:
    """Return a key whose hash lies in a range."""
    return next(f"key-{i}" for i in range(10_000) if first <= int.from_bytes(hash_key(f"key-{i}"), "big") <= last)


class Edge:
    """An edge that does nothing but note how far it is."""

    def __init__(self, log: MemoryLog, folder: Path) -> None:
        self._database = EdgeDatabase(folder / "edge.sqlite", "", "NORMAL")
        self.tail = StreamTail(log, OUTCOMES, SqlitePlaces(self._database))

    def read(self) -> list[Arrived]:
        return now(self.tail.read())

    def take_in(self) -> list[int]:
        arrived = self.read()
        with self._database.transaction():
            self.tail.store()
        return numbers(arrived)

    def kill(self) -> None:
        self._database.close()


@pytest.fixture
def log() -> MemoryLog:
    return a_memory_log(VirtualClock())


def test_what_was_stored_is_not_given_again_after_a_restart(log: MemoryLog, tmp_path: Path) -> None:
    upstream = Upstream(log)
    upstream.emit(OUTCOMES, "key", of(1), of(2))
    edge = Edge(log, tmp_path)
    assert edge.take_in() == [1, 2]
    edge.kill()
    upstream.emit(OUTCOMES, "key", of(3))

    assert Edge(log, tmp_path).take_in() == [3]


def test_what_was_read_and_not_stored_is_given_again_after_a_restart(log: MemoryLog, tmp_path: Path) -> None:
    Upstream(log).emit(OUTCOMES, "key", of(1))
    edge = Edge(log, tmp_path)
    assert numbers(edge.read()) == [1]
    edge.kill()

    assert Edge(log, tmp_path).take_in() == [1]


def test_children_are_read_behind_the_end_of_their_parents(log: MemoryLog, tmp_path: Path) -> None:
    key = key_in(0, QUARTER - 1)
    upstream = Upstream(log)
    upstream.emit(OUTCOMES, key, of(1))
    now(log.split(OUTCOMES, FIRST, QUARTER))
    upstream.emit(OUTCOMES, key, of(2))
    edge = Edge(log, tmp_path)

    assert edge.take_in() == [1]
    assert edge.take_in() == [2]


def test_an_edge_finds_the_children_of_a_shard_that_is_split_while_it_reads(log: MemoryLog, tmp_path: Path) -> None:
    key = key_in(0, QUARTER - 1)
    upstream = Upstream(log)
    edge = Edge(log, tmp_path)
    upstream.emit(OUTCOMES, key, of(1))
    assert edge.take_in() == [1]

    now(log.split(OUTCOMES, FIRST, QUARTER))
    upstream.emit(OUTCOMES, key, of(2))
    edge.take_in()
    edge.kill()

    assert Edge(log, tmp_path).take_in() == [2]


def test_a_merged_shard_is_read_behind_both_parents(log: MemoryLog, tmp_path: Path) -> None:
    low, high = key_in(0, HALF - 1), key_in(HALF, LAST_HASH)
    upstream = Upstream(log)
    upstream.emit(OUTCOMES, low, of(1))
    upstream.emit(OUTCOMES, high, of(2))
    now(log.merge(OUTCOMES, FIRST, SECOND))
    upstream.emit(OUTCOMES, low, of(3))
    edge = Edge(log, tmp_path)

    assert [edge.take_in(), edge.take_in()] == [[1, 2], [3]]


def test_a_record_is_given_once_although_it_landed_on_the_wrong_shard_first(log: MemoryLog, tmp_path: Path) -> None:
    upper = key_in(QUARTER, HALF - 1)
    producer = EdgeProducer(log, VirtualClock(), Identity(b"test", 1))
    now(producer.put([producer.record(OUTCOMES, upper, of(1), 1, 1)]))
    edge = Edge(log, tmp_path)
    assert edge.take_in() == [1]

    now(log.split(OUTCOMES, FIRST, QUARTER))  # the producer has not seen that: it puts all in one record
    lower = key_in(0, QUARTER - 1)
    late = [producer.record(OUTCOMES, lower, of(2), 1, 2), producer.record(OUTCOMES, upper, of(3), 1, 3)]
    now(producer.put(late))

    assert sorted(edge.take_in() + edge.take_in()) == [2, 3]


def test_a_record_that_is_no_envelope_is_given_without_one(log: MemoryLog, tmp_path: Path) -> None:
    put_raw(log, OUTCOMES, b"{}")

    (arrived,) = Edge(log, tmp_path).read()

    assert (arrived.record, arrived.envelope) == (b"{}", None)


def test_a_first_start_begins_at_the_oldest_record_that_is_kept(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = a_memory_log(clock)
    Upstream(log).emit(OUTCOMES, "key", of(1))
    clock.move(1_000)
    Upstream(log).emit(OUTCOMES, "key", of(2))
    for shard_id in (FIRST, SECOND):
        now(log.trim(OUTCOMES, shard_id, clock.now_us()))

    assert Edge(log, tmp_path).take_in() == [2]


def test_an_edge_that_was_down_until_its_records_were_trimmed_stops_loudly(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = a_memory_log(clock)
    upstream = Upstream(log)
    upstream.emit(OUTCOMES, "key", of(1))
    edge = Edge(log, tmp_path)
    edge.take_in()
    edge.kill()
    upstream.emit(OUTCOMES, "key", of(2))
    clock.move(1_000)
    for shard_id in (FIRST, SECOND):
        now(log.trim(OUTCOMES, shard_id, clock.now_us()))

    with pytest.raises(TrimmedRangeError):
        Edge(log, tmp_path).take_in()


def test_the_store_of_one_log_is_not_taken_for_another(log: MemoryLog, tmp_path: Path) -> None:
    edge = Edge(log, tmp_path)
    edge.read()
    edge.kill()
    other = MemoryLog(VirtualClock(), "log-2")
    asyncio.run(other.create_stream(OUTCOMES, 1))

    with pytest.raises(EdgeError, match="log-1, not log-2"):
        Edge(other, tmp_path).read()


def test_two_processes_never_have_one_store(log: MemoryLog, tmp_path: Path) -> None:
    Edge(log, tmp_path)

    with pytest.raises(EdgeError, match="another process"):
        Edge(log, tmp_path)
