"""Where a shard starts from: its own state, a snapshot, its parents' ends - and never anything half done or foreign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace as replace_fields

from chaos.virtual_time import finished
from pipeline.errors import InvariantViolation, SnapshotError
from pipeline.kernel import audit_chain, keys
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, LAST_HASH, hash_key
from pipeline.kernel.meta import read_meta, write_meta
from pipeline.kernel.position import START, Position, Source
from pipeline.ports import Entry, Manifest, ShardDescription, StateStore
from pipeline.restore import ParentsNotEndedError, Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests, state_digest
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs.memory import MemoryLog
from tests.stage_under_test import CapturingPublisher
from tests.unit.diary import DIARY, Noted, Remind, diary_stage
from tests.virtual_clock import SOME_DAY_US, VirtualClock

T = TypeVar("T")

FIRST, SECOND, THIRD = (f"shardId-{number:012d}" for number in range(3))
LOW_KEY, HIGH_KEY = "k1", "k0"
LATER_US = SOME_DAY_US + 1_000_000_000
MIDDLE = (LAST_HASH + 1) // 2


class Worker:
    """A machine that runs shards of the diary from a log."""

    def __init__(self, folder: Path, shards: int = 1, incarnation: str = "log-1") -> None:
        self.stage = diary_stage()
        self.log = MemoryLog(VirtualClock(), incarnation)
        self.stores = MemoryStores(undoable=True)
        self.snapshots = MemorySnapshots()
        self.scratch = folder / "scratch"
        self._folder = folder
        self._taken = 0
        finished(self.log.create_stream(DIARY, shards))

    def on_another_machine(self) -> Worker:
        """Let another machine take over: the log and the snapshots stay, what was kept here does not."""
        self.stores = MemoryStores()
        return self

    def put(self, key: str, *events: object) -> None:
        """Put events under a key."""
        hashed = hash_key(key)
        finished(self.log.put_records(DIARY, [Entry(hashed, [self._record(hashed, event) for event in events])]))

    def _record(self, hashed: bytes, event: object) -> bytes:
        kind, version, body = self.stage.codec.encode(event)
        lineage = edge_lineage(1, 1)
        return encode(Envelope(FROM_EDGE, kind, version, SOME_DAY_US, hashed, hashed, lineage, b"test", body))

    def restore(self, shard_id: str) -> StateStore:
        """Restore the state of a shard."""
        restorer = Restorer(self.stage, self.log, self.stores, self.snapshots, self.scratch)
        return finished(restorer.restore(self.describe(shard_id)))

    def describe(self, shard_id: str) -> ShardDescription:
        return next(shard for shard in finished(self.log.shards(DIARY)) if shard.shard_id == shard_id)

    def start(self, shard_id: str) -> Shard:
        """Restore a shard, and read what the log has for it."""
        shard = Shard(self.stage, self.restore(shard_id), CapturingPublisher())
        return self.read_on(shard, shard_id)

    def read_on(self, shard: Shard, shard_id: str) -> Shard:
        found = finished(self.log.read(DIARY, shard_id, shard.position.sequence, 1_000))
        finished(shard.process(found.records))
        return shard

    def end(self, shard_id: str) -> Shard:
        """Read a closed shard to its end, and keep that."""
        shard = self.start(shard_id)
        finished(shard.finish())
        self.snapshot(shard)
        return shard

    def snapshot(self, shard: Shard, flushing: Callable[[], None] = lambda: None) -> Manifest:
        """Take a snapshot; ``flushing`` happens while the state is flushed."""
        self._taken += 1
        folder = self._folder / f"checkpoint-{self._taken}"

        async def beside(work: Callable[..., T], *args: object) -> T:
            if work == shard.store.flush:
                flushing()
            return work(*args)

        return finished(take_snapshot(shard, self.stores, self.snapshots, folder, FileDigests(), beside))

    def split(self) -> None:
        """Split the only shard in its middle."""
        finished(self.log.split(DIARY, FIRST, MIDDLE))

    def merge(self) -> None:
        """Merge the only two shards."""
        finished(self.log.merge(DIARY, FIRST, SECOND))


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


@pytest.fixture
def two_shards(tmp_path: Path) -> Worker:
    return Worker(tmp_path, shards=2)


def test_a_new_shard_starts_from_nothing(worker: Worker) -> None:
    shard = worker.start(FIRST)

    assert shard.position == START
    assert shard.committed.chain_head == audit_chain.genesis(source_of(FIRST))


def test_a_machine_goes_on_from_the_state_that_it_kept(worker: Worker) -> None:
    worker.put("k", Noted("a"))
    position = worker.start(FIRST).position

    assert worker.start(FIRST).position == position


def test_another_machine_goes_on_from_the_newest_snapshot(worker: Worker) -> None:
    worker.put("k", Noted("a"))
    shard = worker.start(FIRST)
    worker.snapshot(shard)
    worker.put("k", Noted("b"))
    worker.snapshot(worker.read_on(shard, FIRST))

    restored = worker.on_another_machine().restore(FIRST)

    assert read_meta(restored) == shard.committed
    assert state_digest(restored) == state_digest(shard.store)


def test_a_machine_that_gets_a_shard_back_goes_on_from_what_another_left_meanwhile(worker: Worker) -> None:
    worker.put("k", Noted("a"))
    worker.snapshot(worker.start(FIRST))
    kept = worker.stores
    worker.put("k", Noted("b"))
    other = worker.on_another_machine().start(FIRST)
    worker.snapshot(other)

    worker.stores = kept

    assert read_meta(worker.restore(FIRST)) == other.committed


def test_a_snapshot_has_what_was_committed_until_it_was_copied(worker: Worker) -> None:
    worker.put("k", Noted("a"))
    shard = worker.start(FIRST)
    worker.put("k", Noted("b"))

    manifest = worker.snapshot(shard, flushing=lambda: void(worker.read_on(shard, FIRST)))

    restored = worker.on_another_machine().restore(FIRST)
    assert manifest.position == shard.committed.position
    assert (read_meta(restored), state_digest(restored)) == (shard.committed, manifest.state_digest)


def test_a_state_of_another_log_halts(worker: Worker, tmp_path: Path) -> None:
    worker.start(FIRST)
    other = Worker(tmp_path / "other", incarnation="log-2")
    other.stores = worker.stores

    with pytest.raises(InvariantViolation, match="wrong folder, or wrong log"):
        other.restore(FIRST)


# ----------------------------------------------------------------------------------------------------------- children


def test_a_child_waits_for_its_parents_end(worker: Worker) -> None:
    worker.start(FIRST)
    worker.split()

    with pytest.raises(ParentsNotEndedError, match=f"{SECOND} waits for the END snapshot of its parent {FIRST}"):
        worker.restore(SECOND)


def test_a_split_shares_out_counts_timers_and_time(worker: Worker) -> None:
    worker.put(LOW_KEY, Noted("a"), Remind(10))
    worker.put(HIGH_KEY, Noted("b"), Remind(10), Noted("c"))
    worker.split()
    parent = worker.end(FIRST)

    low, high = worker.start(SECOND), worker.start(THIRD)

    assert (low.timers, high.timers) == (1, 1)
    assert low.committed.now_us == high.committed.now_us == parent.committed.now_us
    assert low.committed.chain_head == audit_chain.child_of([parent.committed.chain_head], source_of(SECOND))
    assert (low.position, low.committed.records) == (START, 0)


def test_a_merge_has_what_both_parents_had_and_the_later_time_and_behaviour(two_shards: Worker) -> None:
    worker = two_shards
    worker.put(LOW_KEY, Noted("a"), Remind(10))
    worker.put(HIGH_KEY, Noted("b"), Remind(10))
    worker.merge()
    parents = [worker.end(shard_id) for shard_id in (FIRST, SECOND)]
    ahead(worker, parents[1], now_us=LATER_US, behaviour=2)

    child = worker.start(THIRD)

    assert child.timers == 2
    assert (child.committed.now_us, child.committed.behaviour) == (LATER_US, 2)
    heads = [parent.committed.chain_head for parent in parents]
    assert child.committed.chain_head == audit_chain.child_of(heads, source_of(THIRD))


def test_a_child_that_waited_for_one_parent_starts_when_both_have_ended(two_shards: Worker) -> None:
    worker = two_shards
    worker.merge()
    worker.end(FIRST)
    with pytest.raises(ParentsNotEndedError):
        worker.restore(THIRD)
    worker.end(SECOND)

    assert worker.start(THIRD).committed.hash_range == FULL_RANGE


def test_a_start_that_was_interrupted_begins_again(two_shards: Worker) -> None:
    worker = two_shards
    worker.put(LOW_KEY, Noted("a"))
    worker.merge()
    for shard_id in (FIRST, SECOND):
        worker.end(shard_id)
    undisturbed = state_digest(worker.restore(THIRD))
    store = worker.stores.open("diary", THIRD)
    assert store is not None
    for batches in range(1, store.unflushed + 1):
        store.lose(batches)
        (worker.scratch / f"diary-{THIRD}-from-{SECOND}").mkdir(parents=True, exist_ok=True)

        worker.restore(THIRD)

        store = worker.stores.open("diary", THIRD)
        assert store is not None
        assert state_digest(store) == undisturbed


def test_nothing_of_the_parents_is_left_lying_about(two_shards: Worker) -> None:
    worker = two_shards
    worker.merge()
    for shard_id in (FIRST, SECOND):
        worker.end(shard_id)

    worker.restore(THIRD)

    assert list(worker.scratch.iterdir()) == []


def test_an_end_of_another_logs_shard_is_not_inherited(worker: Worker) -> None:
    worker.split()
    worker.end(FIRST)
    (end,) = worker.snapshots._manifests.values()
    rewrite(worker, replace(end, source="log-2/diary/" + FIRST))

    with pytest.raises(SnapshotError, match=f"of log-2/diary/{FIRST}, but shard {SECOND} descends from log-1"):
        worker.restore(SECOND)


def test_an_end_whose_state_is_not_what_its_manifest_says_is_not_inherited(worker: Worker) -> None:
    worker.split()
    worker.end(FIRST)
    (end,) = worker.snapshots._manifests.values()
    rewrite(worker, replace(end, position=Position(99, 0).pack()))

    with pytest.raises(SnapshotError, match="does not hold the state that its manifest names"):
        worker.restore(SECOND)


def test_a_damaged_end_is_set_aside_and_made_again(worker: Worker) -> None:
    worker.put(LOW_KEY, Noted("one"))
    worker.split()
    worker.end(FIRST)
    (end,) = finished(worker.snapshots.manifests(worker.stage.name, FIRST))
    (digest,) = end.files.values()
    worker.snapshots.files[digest] = worker.snapshots.files[digest][:-1] + b"?"

    with pytest.raises(ParentsNotEndedError, match=f"waits until its parent {FIRST} is read again"):
        worker.restore(SECOND)
    assert finished(worker.snapshots.manifests(worker.stage.name, FIRST)) == []

    again = worker.end(FIRST)
    (made_again,) = finished(worker.snapshots.manifests(worker.stage.name, FIRST))
    assert (made_again, again.committed.chain_head) == (end, end.chain_head)
    assert Shard(worker.stage, worker.restore(SECOND), CapturingPublisher()).committed.records == 0


def test_a_child_keeps_no_heads_of_its_parents(worker: Worker) -> None:
    for text in "abcdefgh":
        worker.put(LOW_KEY, Noted(text))
    worker.split()
    parent = worker.end(FIRST)

    assert heads_of(parent.store)
    assert not heads_of(worker.restore(SECOND))


def void(_result: object) -> None:
    """Forget a result."""


def source_of(shard_id: str) -> bytes:
    return Source("log-1", DIARY, shard_id).pack()


def heads_of(store: StateStore) -> list[tuple[bytes, bytes]]:
    return list(store.scan(keys.HEAD, keys.after_prefix(keys.HEAD)))


def rewrite(worker: Worker, manifest: Manifest) -> None:
    """Put another manifest in the place of the only one."""
    ((place, _),) = worker.snapshots._manifests.items()
    worker.snapshots._manifests[place] = manifest


def ahead(worker: Worker, parent: Shard, **fields: object) -> None:
    """Let an ended parent's snapshot stand at other values."""
    changes: dict[bytes, bytes | None] = {}
    parent.committed = replace_fields(parent.committed, **fields)
    write_meta(parent.committed, changes)
    parent.store.write(changes)
    last = max(place for place in worker.snapshots._manifests if place[1] == SECOND)
    del worker.snapshots._manifests[last]
    worker.snapshot(parent)
