"""The commit protocol: whatever dies between two steps of it, all outputs are there, and the same byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import decode
from pipeline.kernel.hashrange import FULL_RANGE
from pipeline.kernel.meta import Meta
from pipeline.kernel.position import Source
from pipeline.kernel.system_events import BehaviourActivated, CycleClosed, SourceEnded
from pipeline.ports import Record
from pipeline.restore import genesis_rows
from pipeline.shard import Shard
from pipeline.state.digest import state_digest
from pipeline.state.memory import MemoryStore
from tests.stage_under_test import START_US, CapturingPublisher, StageUnderTest
from tests.unit.diary import CutOff, Noted, Remind, diary_stage, sent_by

MOMENTS = ("in a step", "before it publishes", "after it published", "before it commits", "after it committed")
RECORDS = 12


class DeathError(Exception):
    """The process dies here."""


@dataclass
class Fuse:
    """Dies at one moment of one batch."""

    moment: str
    batch: int

    def reach(self, moment: str) -> None:
        if moment == self.moment:
            if self.batch == 0:
                raise DeathError
            self.batch -= 1


@dataclass
class DyingPublisher(CapturingPublisher):
    """Keeps what is published, and may die around it."""

    fuse: Fuse = field(default_factory=lambda: Fuse("never", 0))

    async def publish(self, outputs: Sequence[Output]) -> None:
        self.fuse.reach("before it publishes")
        await super().publish(outputs)
        self.fuse.reach("after it published")


class DyingStore(MemoryStore):
    """Keeps what is written, and may die around it."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse = Fuse("never", 0)

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.fuse.reach("before it commits")
        super().write(changes, dropped)
        self.fuse.reach("after it committed")


@dataclass(frozen=True)
class Outcome:
    """What a reading of the whole log came to."""

    outputs: dict[tuple[str, bytes], bytes]
    """By stream and lineage."""
    meta: Meta
    state: bytes


def test_the_log_that_is_read_here_has_something_of_everything() -> None:
    outcome = read_undisturbed(the_log(), batch=5)

    kinds = {decode(record).kind for record in outcome.outputs.values()}
    assert len(kinds) >= 5
    assert len(outcome.outputs) > RECORDS


@pytest.mark.parametrize("batch", range(3))
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_death_at_any_moment_changes_no_output_and_no_state(moment: str, batch: int) -> None:
    assert read_dying(the_log(), Fuse(moment, batch)) == read_undisturbed(the_log(), batch=4)


@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_a_death_at_the_end_of_a_shard_changes_no_output_and_no_state(moment: str) -> None:
    log = the_log()

    assert read_dying(log, Fuse(moment, batch=len(log) // 4)) == read_undisturbed(log, batch=4)


@given(st.sets(st.integers(1, RECORDS * 2)))
def test_outputs_heads_and_state_do_not_depend_on_where_batches_end(ends: set[int]) -> None:
    log = the_log()
    cuts = [0, *sorted(end for end in ends if end < len(log)), len(log)]

    assert read([log[first:end] for first, end in pairwise(cuts)]) == read([log])


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12), st.data())
def test_a_restart_between_any_two_batches_changes_nothing(texts: list[str], data: st.DataObject) -> None:
    stage = StageUnderTest(diary_stage())
    log = [Record(n, START_US + n, (stage.record("k", Noted(text)),)) for n, text in enumerate(texts, 1)]
    restarts = data.draw(st.sets(st.integers(0, len(log))))

    assert read([[record] for record in log], restarts) == read([log])


def read(batches: Sequence[Sequence[Record]], restarts: Collection[int] = ()) -> Outcome:
    """Read batch by batch to the end of the shard, with a restart before some of them."""
    store, publisher = a_store(), DyingPublisher()
    shard = Shard(diary_stage(), store, publisher)
    for number, batch in enumerate(batches):
        if number in restarts:
            shard = Shard(diary_stage(), store, publisher)
        asyncio.run(shard.process(batch))
    asyncio.run(shard.finish())
    return outcome_of(shard, publisher)


def read_undisturbed(log: Sequence[Record], batch: int) -> Outcome:
    return read([log[first : first + batch] for first in range(0, len(log), batch)])


def read_dying(log: Sequence[Record], fuse: Fuse) -> Outcome:
    """Read in batches of 4 until the fuse blows; then go on from what was committed."""
    store, publisher = a_store(), DyingPublisher()
    publisher.fuse = store.fuse = fuse
    with pytest.raises(DeathError):
        read_on(log, store, publisher, fuse)
    publisher.fuse = store.fuse = Fuse("never", 0)
    shard = read_on(log, store, publisher, publisher.fuse)
    return outcome_of(shard, publisher)


def read_on(log: Sequence[Record], store: DyingStore, publisher: DyingPublisher, fuse: Fuse) -> Shard:
    shard = Shard(diary_stage(), store, publisher)
    left = [record for record in log if record.sequence > shard.position.sequence]
    for first in range(0, len(left), 4):
        batch = left[first : first + 4]
        if fuse.moment == "in a step":
            shard.step(batch[:2])
            fuse.reach("in a step")
            shard = Shard(diary_stage(), store, publisher)
        asyncio.run(shard.process(batch))
    asyncio.run(shard.finish())
    return shard


def outcome_of(shard: Shard, publisher: CapturingPublisher) -> Outcome:
    """Return what readers downstream take in; the same lineage must never stand for two outputs."""
    outputs: dict[tuple[str, bytes], bytes] = {}
    for output in publisher.outputs:
        identity = output.stream, decode(output.record).lineage
        assert outputs.setdefault(identity, output.record) == output.record
    return Outcome(outputs, shard.committed, state_digest(shard.store))


def a_store() -> DyingStore:
    store = DyingStore()
    store.write(genesis_rows(diary_stage(), Source("test", "diary", "shard-0"), FULL_RANGE))
    return store


def the_log() -> list[Record]:
    """Return a log with something of everything: notes, timers, cut-offs, markers, garbage, repeats, an activation."""
    stage = StageUnderTest(diary_stage())
    whole = FULL_RANGE.first_bytes, FULL_RANGE.last_bytes
    user_records = []
    for number in range(RECORDS):
        key = f"k{number % 3}"
        at_us = START_US + 10 * number
        user_records += [
            stage.record(key, Noted(f"note {number % 5}"), at_us),
            stage.record(key, Remind(after_us=25), at_us),
            stage.record(key, CutOff(number, START_US + 30 * number), at_us),
            sent_by("shard-0", number // 2, stage.record(key, Noted(f"sent {number}"), at_us)),
        ]
    own = [CycleClosed(cycle, *whole) for cycle in range(3)]
    user_records += [sent_by("shard-1", n, stage._record(whole, marker, None)) for n, marker in enumerate(own, 1)]
    user_records.insert(20, sent_by("control", 1, stage._record(whole, BehaviourActivated(2), None)))
    user_records.insert(30, b"garbage")
    user_records.append(sent_by("shard-1", 9, stage._record(whole, SourceEnded(), None)))
    user_records.append(sent_by("shard-1", 10, stage.record("k", Noted("too late"))))
    pairs = [tuple(user_records[first : first + 2]) for first in range(0, len(user_records), 2)]
    return [Record(100 + number, START_US + 5 * number, pair) for number, pair in enumerate(pairs)]
