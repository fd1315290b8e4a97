"""The shard runtime: what a record does, in which order, and what a shard refuses."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest
from msgspec.structs import replace

from pipeline.errors import InvariantViolation, UnknownBehaviourError
from pipeline.kernel import keys
from pipeline.kernel.agent import OUTPUT_BYTES_MAX, PARKED_BYTES_MAX, REASON_CHARACTERS_MAX, Output
from pipeline.kernel.cycles import encode_closed
from pipeline.kernel.envelope import BODY_BYTES_MAX, FROM_EDGE, Envelope, decode, encode
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.meta import write_meta
from pipeline.kernel.position import Position, Source
from pipeline.kernel.system_events import BehaviourActivated, CycleClosed, Parked, SourceEnded, Tick
from pipeline.kernel.tables import Changes
from pipeline.ports import Record
from pipeline.restore import genesis_rows
from pipeline.shard import Shard
from pipeline.state.memory import MemoryStore
from tests.stage_under_test import START_US, CapturingPublisher, StageUnderTest
from tests.unit.diary import (
    DIARY,
    OUT,
    PARKED,
    SKEW_US_MAX,
    Counted,
    CutOff,
    Finalised,
    Mishap,
    Noted,
    Remind,
    Reminded,
    RemindNow,
    Stumble,
    Unheard,
    diary_stage,
    sent_by,
)

LOW, HIGH = FULL_RANGE.divide(2)
WHOLE = CycleClosed(0, FULL_RANGE.first_bytes, FULL_RANGE.last_bytes)


@pytest.fixture
def diary() -> StageUnderTest:
    return StageUnderTest(diary_stage())


def test_what_was_counted_is_counted_on_after_a_restart(diary: StageUnderTest) -> None:
    diary.feed("k", Noted("a"), Noted("b"))

    again = diary.restarted()
    again.feed("k", Noted("c"))

    assert diary.emitted(OUT) == [Counted(1), Counted(2)]
    assert again.emitted(OUT) == [Counted(3)]


# ------------------------------------------------------------------------------------------------- what is not news


def test_a_repeat_is_dropped_and_leaves_no_trace_in_the_chain(diary: StageUnderTest) -> None:
    record = sent_by("shard-0", 7, diary.record("k", Noted("a")))
    diary.feed_bytes(record)
    before = diary.shard.committed

    diary.feed_bytes(record)

    after = diary.shard.committed
    assert diary.emitted(OUT) == [Counted(1)]
    assert (after.chain_head, after.records, after.now_us) == (before.chain_head, before.records, before.now_us)
    assert after.position > before.position


def test_a_repeat_is_known_after_a_restart(diary: StageUnderTest) -> None:
    record = sent_by("shard-0", 7, diary.record("k", Noted("a")))
    diary.feed_bytes(record)

    again = diary.restarted()
    again.feed_bytes(record)

    assert again.emitted(OUT) == []


def test_a_dropped_repeat_moves_no_time(diary: StageUnderTest) -> None:
    diary.feed("k", Remind(50))
    late = diary.record("k", Noted("b"), at_us=START_US + 100)
    diary.feed_bytes(sent_by("shard-0", 7, diary.record("k", Noted("a"))))

    diary.feed_bytes(sent_by("shard-0", 7, late), at_us=START_US + 100)

    assert diary.emitted(OUT) == [Counted(1)]


def test_two_sources_do_not_shadow_each_other(diary: StageUnderTest) -> None:
    diary.feed_bytes(sent_by("shard-0", 7, diary.record("k", Noted("a"))))
    diary.feed_bytes(sent_by("shard-1", 3, diary.record("k", Noted("b"))))

    assert diary.emitted(OUT) == [Counted(1), Counted(2)]


def test_a_record_of_another_shards_hashes_is_dropped() -> None:
    low = StageUnderTest(diary_stage(), a_store(of_half="low"))
    of_low, of_high = key_in("low"), key_in("high")

    low.feed(of_high, Noted("not mine"))
    low.feed(of_low, Noted("mine"))

    assert low.emitted(OUT) == [Counted(1)]
    assert low.shard.committed.records == 1


def test_a_record_that_is_delivered_again_by_the_log_halts(diary: StageUnderTest) -> None:
    diary.feed("k", Noted("a"))

    with pytest.raises(InvariantViolation, match=r"record 1\.0 was delivered again"):
        diary.shard.step([Record(1, START_US, [diary.record("k", Noted("a"))])])


# ---------------------------------------------------------------------------------------------------------- poison


@pytest.mark.parametrize("record", [b"", b"no envelope", bytes(72), b"\x01" * 100])
def test_what_is_no_envelope_is_parked_whole_with_its_reason_and_position(diary: StageUnderTest, record: bytes) -> None:
    diary.feed_bytes(record)

    (parked,) = parked_by(diary)
    assert parked.record == record
    assert parked.reason
    assert (parked.source, parked.position) == ("test/diary/shard-0", "1.0")
    assert parked.digest == sha256(record).digest()


def test_a_shard_goes_on_behind_poison(diary: StageUnderTest) -> None:
    diary.feed_bytes(diary.record("k", Noted("a")), b"garbage", diary.record("k", Noted("b")))

    assert diary.emitted(OUT) == [Counted(1), Counted(2)]
    assert [parked.position for parked in parked_by(diary)] == ["1.1"]


@pytest.mark.parametrize("mishap", [Mishap.POISON, Mishap.PARK])
def test_what_an_agent_cannot_take_is_parked_under_its_key(diary: StageUnderTest, mishap: Mishap) -> None:
    record = diary.record("k", Stumble(mishap, "too odd"))

    diary.feed_bytes(record)

    (output,) = outputs_to(diary, PARKED)
    assert output.first == output.last == hash_key("k")
    assert [(parked.reason, parked.record) for parked in parked_by(diary)] == [("too odd", record)]


def test_an_event_that_no_agent_takes_is_parked(diary: StageUnderTest) -> None:
    diary.feed("k", Unheard())

    assert [parked.reason for parked in parked_by(diary)] == ["no agent of stage diary takes a Unheard"]


def test_an_unknown_kind_or_version_is_parked(diary: StageUnderTest) -> None:
    record = diary.record("k", Noted("a"))

    diary.feed_bytes(changed(record, kind=4_000), changed(record, version=9))

    assert [parked.reason for parked in parked_by(diary)] == [
        "unknown kind 4000, version 1",
        "unknown kind 256, version 9",
    ]


def test_a_body_that_is_nested_too_deeply_is_parked(diary: StageUnderTest) -> None:
    deep = b"\x82\xa4text\xa1a\xa1x" + b"\x91" * 100_000 + b"\xc0"

    diary.feed_bytes(changed(diary.record("k", Noted("a")), body=deep))

    assert [parked.reason for parked in parked_by(diary)] == ["kind 256, version 1: its body is nested too deeply"]


def test_a_reason_is_cut_to_a_length_and_to_what_can_be_written(diary: StageUnderTest) -> None:
    diary.feed("k", Stumble(Mishap.PARK, "x" * 10_000))
    diary.shard._machine._context.begin(Position(9, 9).pack(), b"record")
    diary.shard._machine._context.park("a lone surrogate: \ud800")

    (parked,) = parked_by(diary)
    assert parked.reason == "x" * REASON_CHARACTERS_MAX
    assert b"a lone surrogate: \\ud800" in diary.shard._machine._context.outputs[0].record


def test_a_record_too_large_to_be_parked_whole_is_parked_by_reference(diary: StageUnderTest) -> None:
    largest = bytes(PARKED_BYTES_MAX)
    too_large = bytes((1 << 20) - PARKED_BYTES_MAX)  # as large as the log takes, with the other

    diary.feed_bytes(largest)
    diary.feed_bytes(too_large)

    whole, referred = parked_by(diary)
    assert whole.record == largest
    assert (referred.record, referred.position) == (b"", "2.0")
    assert referred.digest == sha256(too_large).digest()


def test_a_parked_record_is_one_that_a_stage_would_take(diary: StageUnderTest) -> None:
    diary.feed_bytes(bytes(PARKED_BYTES_MAX))

    (output,) = outputs_to(diary, PARKED)
    assert len(decode(output.record).body) <= BODY_BYTES_MAX


def test_a_body_larger_than_a_stage_takes_is_parked_once(diary: StageUnderTest) -> None:
    record = sent_by("shard-0", 7, changed(diary.record("k", Noted("a")), body=bytes(BODY_BYTES_MAX + 1)))

    diary.feed_bytes(record)
    diary.feed_bytes(record)

    assert [parked.reason for parked in parked_by(diary)] == ["a body of 524289 bytes is larger than 524288"]


# ------------------------------------------------------------------------------------------------------- invariants


def test_an_agent_that_raises_leaves_the_store_as_it_was(diary: StageUnderTest) -> None:
    diary.feed("k", Noted("a"))
    before = everything(diary.store)

    with pytest.raises(RuntimeError, match="stumbled"):
        diary.feed("k", Noted("b"), Stumble(Mishap.RAISE))

    assert everything(diary.store) == before
    assert diary.emitted(OUT) == [Counted(1)]


def test_a_shard_whose_batch_failed_is_not_used_again(diary: StageUnderTest) -> None:
    with pytest.raises(RuntimeError):
        diary.feed("k", Noted("a"), Stumble(Mishap.RAISE))

    with pytest.raises(InvariantViolation, match="restore the shard"):
        diary.feed("k", Noted("b"))
    with pytest.raises(InvariantViolation, match="restore the shard"):
        asyncio.run(diary.shard.finish())


def test_an_agent_that_finds_poison_behind_its_first_output_halts(diary: StageUnderTest) -> None:
    with pytest.raises(InvariantViolation, match="put something out before"):
        diary.feed("k", Stumble(Mishap.POISON_AFTER_OUTPUT))


def test_what_overdue_timers_put_out_is_not_the_records_output(diary: StageUnderTest) -> None:
    diary.feed("k", Remind(10))

    diary.feed("k", Stumble(Mishap.POISON), at_us=START_US + 10)

    assert diary.emitted(OUT) == [Reminded(START_US + 10)]
    assert len(parked_by(diary)) == 1


def test_an_event_that_nobody_ends_halts(diary: StageUnderTest) -> None:
    with pytest.raises(InvariantViolation, match="somebody must end it"):
        diary.feed("k", Stumble(Mishap.UNENDED))


def test_an_output_that_fits_into_no_log_halts_before_anything_is_sent(diary: StageUnderTest) -> None:
    with pytest.raises(InvariantViolation, match=f"more than {OUTPUT_BYTES_MAX}"):
        diary.feed("k", Stumble(Mishap.LARGE_OUTPUT))

    assert diary.publisher.outputs == []


@pytest.mark.parametrize("mishap", [Mishap.POISON, Mishap.PARK])
def test_what_a_timer_brings_cannot_be_parked(diary: StageUnderTest, mishap: Mishap) -> None:
    diary.feed("k", Remind(10, mishap=mishap))

    with pytest.raises(InvariantViolation, match="stage's own"):
        diary.tick(START_US + 10)


def test_an_agent_cannot_turn_to_a_key_that_another_shard_owns() -> None:
    context = StageUnderTest(diary_stage(), a_store(of_half="low")).shard._machine._context

    context.turn_to(hash_key(key_in("low")))
    with pytest.raises(InvariantViolation, match="which another shard owns"):
        context.turn_to(hash_key(key_in("high")))


def test_a_state_that_was_never_set_up_is_refused() -> None:
    with pytest.raises(InvariantViolation, match="never set up"):
        Shard(diary_stage(), MemoryStore(), CapturingPublisher())


@pytest.mark.parametrize("prefix", [keys.PIECE, keys.CLOSED])
def test_a_state_that_was_written_only_in_part_is_refused(prefix: bytes) -> None:
    store = a_store(of_half="low")
    store.write({prefix + LOW.first_bytes: None})

    with pytest.raises(InvariantViolation, match="part of"):
        Shard(diary_stage(), store, CapturingPublisher())


# ------------------------------------------------------------------------------------------------------ time, timers


def test_an_event_time_in_the_far_future_counts_as_arrival_and_a_bit(diary: StageUnderTest) -> None:
    far = diary.record("k", Noted("a"), at_us=START_US + 10**15)

    diary.feed_bytes(far, at_us=START_US)

    assert diary.shard.committed.now_us == START_US + SKEW_US_MAX


def test_an_event_time_in_the_past_moves_nothing_back(diary: StageUnderTest) -> None:
    diary.tick(START_US)

    diary.feed_bytes(diary.record("k", Noted("a"), at_us=-1))

    assert diary.shard.committed.now_us == START_US


def test_what_a_record_causes_happens_at_the_shards_time(diary: StageUnderTest) -> None:
    diary.tick(START_US + 500)

    diary.feed_bytes(diary.record("k", Noted("a"), at_us=START_US))

    (output,) = outputs_to(diary, OUT)
    assert decode(output.record).event_time_us == START_US + 500


def test_first_markers_then_timers_then_the_event(diary: StageUnderTest) -> None:
    diary.feed("k", CutOff(1, START_US + 40), CutOff(0, START_US + 30), Remind(20))

    diary.feed("k", Noted("a"), at_us=START_US + 50)

    in_order = [diary._event(output.record) for output in diary.publisher.outputs]
    marker = (FULL_RANGE.first_bytes, FULL_RANGE.last_bytes)
    assert in_order == [CycleClosed(0, *marker), CycleClosed(1, *marker), Reminded(START_US + 50), Counted(1)]


def test_timers_fire_by_due_time_and_then_by_key(diary: StageUnderTest) -> None:
    for key in ("a", "b", "c"):
        diary.feed(key, Remind(20, key))
    diary.feed("first", Remind(10, "first"))

    diary.tick(START_US + 30)

    names = [event.name for event in diary.emitted(OUT) if isinstance(event, Reminded)]
    assert names == ["first", *sorted(("a", "b", "c"), key=hash_key)]


def test_an_overdue_timer_fires_at_the_first_record_whatever_that_is(diary: StageUnderTest) -> None:
    diary.feed("k", Remind(10))
    ahead: Changes = {}
    write_meta(replace(diary.shard.committed, now_us=START_US + 100), ahead)
    diary.store.write(ahead)  # as in a child whose other parent was ahead

    child = diary.restarted()
    child.feed_bytes(b"garbage")

    assert child.emitted(OUT) == [Reminded(START_US + 100)]
    assert len(parked_by(child)) == 1


def test_a_range_that_lags_closes_its_cycles_at_the_first_record() -> None:
    store = a_store()
    store.write(
        {
            keys.CLOSED + LOW.first_bytes: encode_closed(LOW.last_bytes, 0),
            keys.CLOSED + HIGH.first_bytes: encode_closed(HIGH.last_bytes, 1),
            keys.CUT_OFF + (1).to_bytes(8, "big"): (5).to_bytes(8, "big"),
        }
    )
    child = StageUnderTest(diary_stage(), store)

    child.feed("k", Noted("a"))

    assert child.emitted(DIARY) == [CycleClosed(1, LOW.first_bytes, LOW.last_bytes)]


# ---------------------------------------------------------------------------------- what only a shard is believed


@pytest.mark.parametrize("event", [SourceEnded(), WHOLE, BehaviourActivated(2), RemindNow("now", None)])
def test_what_only_a_shard_may_say_is_parked_when_an_edge_says_it(diary: StageUnderTest, event: object) -> None:
    diary.feed_bytes(changed(diary.broadcast_record(event), origin=FROM_EDGE))
    diary.feed("k", Noted("a"))

    assert [parked.reason for parked in parked_by(diary)] == [f"a {type(event).__name__} is believed only from a shard"]
    assert diary.emitted(OUT) == [Counted(1)]


@pytest.mark.parametrize("event", [SourceEnded(), WHOLE])
def test_what_a_shard_says_of_itself_to_a_single_key_is_parked(diary: StageUnderTest, event: object) -> None:
    diary.feed_bytes(sent_by("shard-0", 7, diary.record("k", event)))

    assert len(parked_by(diary)) == 1


def test_a_parked_event_is_not_for_a_stage(diary: StageUnderTest) -> None:
    diary.feed_bytes(sent_by("shard-0", 7, diary.record("k", Parked("odd", "source", "1.0", b"", b""))))

    assert [parked.reason for parked in parked_by(diary)] == ["a Parked is not for a stage to handle"]


def test_nothing_of_a_source_that_ended_is_taken_any_more(diary: StageUnderTest) -> None:
    diary.feed_bytes(sent_by("shard-0", 7, diary.broadcast_record(SourceEnded())))

    again = diary.restarted()
    again.feed_bytes(sent_by("shard-0", 9, diary.record("k", Noted("a"))))

    assert again.emitted(OUT) == []


def test_a_cycle_is_final_once_markers_cover_all_hashes(diary: StageUnderTest) -> None:
    halves = [CycleClosed(0, half.first_bytes, half.last_bytes) for half in (LOW, HIGH)]
    for shard, half in zip(("shard-0", "shard-1"), halves, strict=True):
        assert diary.emitted(OUT) == []
        diary.feed_bytes(sent_by(shard, 7, diary.broadcast_record(half)))

    assert diary.emitted(OUT) == [Finalised(0)]


# -------------------------------------------------------------------------------------------------------- behaviours


def test_a_behaviour_changes_at_the_record_that_activates_it(diary: StageUnderTest) -> None:
    activated = sent_by("shard-0", 7, diary.broadcast_record(BehaviourActivated(2)))
    diary.feed_bytes(diary.record("k", Noted("a")), activated, diary.record("k", Noted("b")))

    again = diary.restarted()
    again.feed("k", Noted("c"))

    assert diary.emitted(OUT) == [Counted(1), Counted(11)]
    assert again.emitted(OUT) == [Counted(21)]


def test_a_limit_changes_at_the_record_that_activates_it(diary: StageUnderTest) -> None:
    activated = sent_by("shard-0", 7, diary.broadcast_record(BehaviourActivated(2)))
    far = diary.record("k", Noted("a"), at_us=START_US + 10**9)

    diary.feed_bytes(activated, far, at_us=START_US)

    assert diary.shard.committed.now_us == START_US + 2 * SKEW_US_MAX


def test_an_earlier_behaviour_never_comes_back(diary: StageUnderTest) -> None:
    for number, version in enumerate((2, 1), 7):
        diary.feed_bytes(sent_by("shard-0", number, diary.broadcast_record(BehaviourActivated(version))))

    assert diary.shard.committed.behaviour == 2


def test_a_build_that_does_not_know_the_active_behaviour_halts() -> None:
    old_build = StageUnderTest(diary_stage(versions=(1,)))

    with pytest.raises(UnknownBehaviourError, match="activated behaviour 2, this build knows 1"):
        old_build.feed_bytes(sent_by("shard-0", 7, old_build.broadcast_record(BehaviourActivated(2))))

    assert old_build.restarted().shard.committed.behaviour == 1


# --------------------------------------------------------------------------------------------------------------- end


def test_an_ended_shard_tells_every_destination_once(diary: StageUnderTest) -> None:
    diary.feed("k", Noted("a"))
    diary.forget_outputs()

    asyncio.run(diary.shard.finish())
    asyncio.run(diary.shard.finish())
    asyncio.run(diary.restarted().shard.finish())

    assert [(output.stream, output.first, output.last) for output in diary.publisher.outputs] == [
        (stream, FULL_RANGE.first_bytes, FULL_RANGE.last_bytes) for stream in (DIARY, OUT)
    ]
    assert diary.emitted(DIARY) == diary.emitted(OUT) == [SourceEnded()]


def test_a_shard_that_was_never_read_ends_too(diary: StageUnderTest) -> None:
    asyncio.run(diary.shard.finish())

    assert diary.shard.committed.ended
    assert diary.emitted(OUT) == [SourceEnded()]


def test_the_end_of_a_source_stands_behind_its_last_output(diary: StageUnderTest) -> None:
    diary.feed("k", Noted("a"))
    asyncio.run(diary.shard.finish())

    lineages = [decode(output.record).lineage for output in diary.publisher.outputs]
    assert lineages == sorted(lineages)


def test_an_ended_shard_takes_nothing_more(diary: StageUnderTest) -> None:
    asyncio.run(diary.shard.finish())

    with pytest.raises(InvariantViolation, match="it ended, and goes on"):
        diary.feed("k", Noted("a"))


# ------------------------------------------------------------------------------------------------------------- heads


def test_heads_are_kept_every_so_many_records_and_at_every_tick(diary: StageUnderTest) -> None:
    heads = {}
    for number in range(1, 10):
        if number == 6:
            diary.broadcast(Tick())
        else:
            diary.feed("k", Noted(str(number)))
        heads[number] = diary.shard.committed.chain_head

    kept = {Position.unpack(row[1:]).sequence: head for row, head in diary.store.scan(b"h", b"i")}
    assert kept == {number: heads[number] for number in (4, 6, 8)}


def a_store(of_half: str = "both") -> MemoryStore:
    """Return the store of a new shard of all hashes, or of the low half of them."""
    store = MemoryStore()
    owned = LOW if of_half == "low" else FULL_RANGE
    store.write(genesis_rows(diary_stage(), Source("test", DIARY, "shard-0"), owned))
    return store


def key_in(half: str) -> str:
    wanted = LOW if half == "low" else HIGH
    return next(key for key in map(str, range(100)) if int.from_bytes(hash_key(key), "big") in wanted)


def changed(record: bytes, **fields: object) -> bytes:
    return encode(Envelope(*decode(record)._replace(**fields)))  # type: ignore[arg-type]


def outputs_to(diary: StageUnderTest, stream: str) -> list[Output]:
    return [output for output in diary.publisher.outputs if output.stream == stream]


def parked_by(diary: StageUnderTest) -> list[Parked]:
    return [event for event in diary.emitted(PARKED) if isinstance(event, Parked)]


def everything(store: MemoryStore) -> list[tuple[bytes, bytes]]:
    return list(store.scan(b"", b"\xff"))
