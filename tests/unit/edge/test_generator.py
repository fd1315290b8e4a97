"""The generator submits each index once, goes on where it was killed, and puts the very same bytes again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.edge.errors import EdgeError
from agents.edge.generator import Generator, GeneratorSettings
from agents.edge.hearing import Listener
from agents.edge.reader import event_of
from agents.edge.workload.sequence import Workload
from agents.streams import CLEARING, CONTROL, PAYMENTS
from pipeline.errors import Poison
from pipeline.kernel.envelope import decode
from pipeline.ports import Entry, Landed, Refused
from pipeline.publisher import Publisher
from pipeline.stream_logs.memory import MemoryLog
from schemas.events import CutOffScheduled, ParticipantAvailabilityChanged, ParticipantListed, PaymentSubmitted
from tests.builders import a_participant
from tests.unit.edge.upstream import Upstream, a_memory_log, create_streams, events_of, now, records_of
from tests.virtual_clock import VirtualClock

SETTINGS = GeneratorSettings(seed=1, count=60, payments_per_second=100, accounts=1_000)


class KillError(Exception):
    """The generator is killed here."""


class LogThatKills(MemoryLog):
    """Stores what is put on the payments stream, and kills the generator before it hears of it, once."""

    armed = False

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        landed = await super().put_records(stream, entries)
        if stream == PAYMENTS and self.armed:
            self.armed = False
            raise KillError
        return landed


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def log(clock: VirtualClock) -> LogThatKills:
    log = LogThatKills(clock, "log-1")
    now(create_streams(log, 2))
    return log


def a_generator(log: MemoryLog, clock: VirtualClock, folder: Path, settings: GeneratorSettings = SETTINGS) -> Generator:
    generator = Generator(log, clock, folder, settings)
    now(generator.start(hearing_seconds=0))
    return generator


def run_to_the_end(generator: Generator, clock: VirtualClock) -> None:
    while not generator.done:
        clock.move(50_000)
        now(generator.turn())
    generator.close()


def indices(records: list[bytes]) -> list[int]:
    """Return the counters of the records, which are the indices of what was submitted."""
    found = []
    for record in records:
        try:
            lineage = decode(record).lineage
        except Poison:
            continue
        found.append(int.from_bytes(lineage[8:16], "big"))
    return sorted(found)


def accepted_by_index(records: list[bytes]) -> dict[int, int]:
    """Return, by index, the time of acceptance of each order that can be read."""
    accepted = {}
    for record in records:
        try:
            envelope = decode(record)
            event = event_of(envelope)
        except Poison:
            continue
        if isinstance(event, PaymentSubmitted):
            accepted[int.from_bytes(envelope.lineage[8:16], "big")] = event.transfer.accepted_us
    return accepted


def test_the_pace_is_that_of_the_clock(log: LogThatKills, clock: VirtualClock, tmp_path: Path) -> None:
    generator = a_generator(log, clock, tmp_path)

    clock.move(300_000)
    now(generator.turn())

    assert generator.next_index == 30
    assert not now(generator.turn())


def test_orders_are_accepted_when_they_are_submitted(log: LogThatKills, clock: VirtualClock, tmp_path: Path) -> None:
    generator = a_generator(log, clock, tmp_path)
    clock.move(300_000)
    now(generator.turn())

    assert {decode(record).event_time_us for record in records_of(log, PAYMENTS)} == {clock.now_us()}


def test_everything_is_submitted_once_over_a_restart(log: LogThatKills, clock: VirtualClock, tmp_path: Path) -> None:
    generator = a_generator(log, clock, tmp_path)
    clock.move(250_000)
    now(generator.turn())
    generator.close()
    clock.move(3_600_000_000)

    run_to_the_end(a_generator(log, clock, tmp_path), clock)

    assert indices(records_of(log, PAYMENTS)) == list(range(60))


def test_time_that_was_lost_is_not_made_up_for(log: LogThatKills, clock: VirtualClock, tmp_path: Path) -> None:
    a_generator(log, clock, tmp_path).close()
    clock.move(3_600_000_000)
    generator = a_generator(log, clock, tmp_path)

    clock.move(100_000)
    now(generator.turn())

    assert generator.next_index == 10


def test_a_batch_that_nobody_acknowledged_is_put_again_byte_for_byte(
    log: LogThatKills, clock: VirtualClock, tmp_path: Path
) -> None:
    generator = a_generator(log, clock, tmp_path)
    log.armed = True
    clock.move(200_000)
    with pytest.raises(KillError):
        now(generator.turn())
    generator.close()
    put_once = Counter(records_of(log, PAYMENTS))
    clock.move(5_000_000)

    a_generator(log, clock, tmp_path)

    assert Counter(records_of(log, PAYMENTS)) == put_once + put_once


def test_a_workload_is_not_mixed_with_another(log: LogThatKills, clock: VirtualClock, tmp_path: Path) -> None:
    a_generator(log, clock, tmp_path).close()

    with pytest.raises(EdgeError, match="seed = 1, not 2"):
        a_generator(log, clock, tmp_path, GeneratorSettings(seed=2, count=60, payments_per_second=100))


def test_a_retry_of_the_same_time_has_the_time_at_which_the_first_was_accepted(
    log: LogThatKills, clock: VirtualClock, tmp_path: Path
) -> None:
    settings = GeneratorSettings(seed=1, count=2_000, payments_per_second=1_000, accounts=1_000)
    run_to_the_end(a_generator(log, clock, tmp_path, settings), clock)

    workload = Workload(1, settings.accounts)
    retries = [s for s in map(workload.at, range(2_000)) if s.accepted_index != s.index]
    accepted = accepted_by_index(records_of(log, PAYMENTS))
    assert len(retries) > 5
    assert all(accepted[retry.index] == accepted[retry.accepted_index] for retry in retries)


def test_the_directory_and_the_calendar_come_first_and_again_as_they_were(
    log: LogThatKills, clock: VirtualClock, tmp_path: Path
) -> None:
    a_generator(log, clock, tmp_path).close()
    told = events_of(log, CONTROL)
    clock.move(1_000_000)

    a_generator(log, clock, tmp_path).close()

    assert [type(event) for event in told[:40]] == [ParticipantListed] * 40
    assert {type(event) for event in told[40:]} == {CutOffScheduled}
    assert events_of(log, CONTROL)[len(told) : 2 * len(told)] == told


def test_cycles_go_on_after_a_pause_and_are_not_made_up_for(
    log: LogThatKills, clock: VirtualClock, tmp_path: Path
) -> None:
    a_generator(log, clock, tmp_path).close()
    first = cut_offs(log)
    back_us = clock.move(3_600_000_000)

    a_generator(log, clock, tmp_path).close()

    added = [cut_off for cut_off in cut_offs(log) if cut_off not in first]
    assert [cut_off.cycle for cut_off in added] == list(range(len(first), len(first) + len(added)))
    assert added[0].at_us == back_us + 5_000_000
    assert len(added) <= len(first)


def cut_offs(log: MemoryLog) -> list[CutOffScheduled]:
    return [event for event in events_of(log, CONTROL) if isinstance(event, CutOffScheduled)]


def test_outages_are_told_when_their_index_is_submitted(log: LogThatKills, clock: VirtualClock, tmp_path: Path) -> None:
    settings = GeneratorSettings(seed=1, count=1_001, payments_per_second=10_000, accounts=1_000)
    run_to_the_end(a_generator(log, clock, tmp_path, settings), clock)

    changes = [event for event in events_of(log, CONTROL) if isinstance(event, ParticipantAvailabilityChanged)]

    assert [change.available for change in changes] == [False, True]


def test_nothing_is_submitted_before_all_shards_know_the_participants(clock: VirtualClock, tmp_path: Path) -> None:
    log = a_memory_log(clock)
    generator = Generator(log, clock, tmp_path, SETTINGS)

    with pytest.raises(EdgeError, match="control stage"):
        now(generator.start(hearing_seconds=2))

    assert records_of(log, PAYMENTS) == []


class LogWithControl(MemoryLog):
    """A log on which everything that enters the control shard is broadcast at once, as the control stage does."""

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        landed = await super().put_records(stream, entries)
        if stream == CONTROL:
            events = [event_of(decode(record)) for entry in entries for record in entry.user_records]
            upstream = Upstream(self, CONTROL)
            outputs = [upstream.broadcast_of(to, event) for event in events for to in (CLEARING, PAYMENTS)]
            await Publisher(self, VirtualClock()).publish(outputs)
        return landed


def test_once_all_shards_know_the_participants_payments_are_submitted(clock: VirtualClock, tmp_path: Path) -> None:
    log = LogWithControl(clock, "log-1")
    now(create_streams(log, 2))
    submitted = []
    for _ in range(2):
        generator = Generator(log, clock, tmp_path, SETTINGS)
        now(generator.start(hearing_seconds=2))
        clock.move(100_000)
        now(generator.turn())
        submitted.append(generator.next_index)
        generator.close()

    assert submitted == [10, 20]


def test_what_was_broadcast_before_is_not_what_is_waited_for(clock: VirtualClock, tmp_path: Path) -> None:
    log = a_memory_log(clock)
    event = a_participant()
    Upstream(log, CONTROL).broadcast(PAYMENTS, event)
    listener = Listener(log, clock, PAYMENTS)
    now(listener.begin())

    with pytest.raises(EdgeError):
        now(listener.wait_for(event, 1))


def test_a_shard_that_was_split_since_has_heard_what_its_parent_heard(clock: VirtualClock, tmp_path: Path) -> None:
    log = a_memory_log(clock)
    event = a_participant()
    listener = Listener(log, clock, PAYMENTS)
    now(listener.begin())
    Upstream(log, CONTROL).broadcast(PAYMENTS, event)
    now(log.split(PAYMENTS, "shardId-000000000000", 1 << 100))

    now(listener.wait_for(event, 1))
