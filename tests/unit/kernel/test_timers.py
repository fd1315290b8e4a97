"""Timers against a list that is sorted anew each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.kernel.tables import Changes
from pipeline.kernel.timers import EncodedEvent, Timers
from pipeline.state.memory import MemoryStore

KEYS = st.sampled_from([b"%016d" % number + suffix for number in range(4) for suffix in (b"", b"a", b"ab")])
TIMES = st.integers(0, 50)
EVENTS = st.tuples(st.integers(0, 65_535), st.integers(0, 65_535), st.binary(max_size=3))

Timer = tuple[int, bytes, EncodedEvent]


class TimersAndAList(RuleBasedStateMachine):
    """Sets, replaces, cancels, fires, commits and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.timers = Timers(self.store)
        self.expected: dict[bytes, tuple[int, EncodedEvent]] = {}

    @rule(due_us=TIMES, key=KEYS, event=EVENTS)
    def set(self, due_us: int, key: bytes, event: EncodedEvent) -> None:
        self.timers.set(due_us, key, event)
        self.expected[key] = (due_us, event)

    @rule(key=KEYS)
    def cancel(self, key: bytes) -> None:
        self.timers.cancel(key)
        self.expected.pop(key, None)

    @rule(now_us=TIMES)
    def fire(self, now_us: int) -> None:
        due = sorted((due_us, key, event) for key, (due_us, event) in self.expected.items() if due_us <= now_us)
        for _, key, _ in due:
            del self.expected[key]

        assert fired(self.timers, now_us) == [(key, event) for _, key, event in due]

    @rule()
    def commit(self) -> None:
        commit(self.timers, self.store)

    @rule()
    def commit_and_restart(self) -> None:
        commit(self.timers, self.store)
        self.timers = Timers(self.store)

    @invariant()
    def no_timer_is_due_before_the_next_is_said_to_be(self) -> None:
        assert len(self.timers) == len(self.expected)
        assert all(self.timers.next_due_us <= due_us for due_us, _ in self.expected.values())


TestTimersAndAList = TimersAndAList.TestCase


def test_timers_of_one_time_fire_in_the_order_of_their_keys() -> None:
    timers = Timers(MemoryStore())
    for key in (b"c", b"a", b"b"):
        timers.set(10, key, (256, 1, key))

    assert [key for key, _ in fired(timers, 10)] == [b"a", b"b", b"c"]


def test_a_timer_set_while_others_fire_takes_its_place_among_them() -> None:
    timers = Timers(MemoryStore())
    timers.set(10, b"a", (256, 1, b""))
    timers.set(30, b"c", (256, 1, b""))

    assert timers.pop_due(30) == (b"a", (256, 1, b""))
    timers.set(20, b"b", (256, 1, b""))

    assert [key for key, _ in fired(timers, 30)] == [b"b", b"c"]


@given(st.integers())
def test_a_timer_may_be_due_at_any_time_at_all(due_us: int) -> None:
    store = MemoryStore()
    timers = Timers(store)

    timers.set(due_us, b"a", (256, 1, b""))
    commit(timers, store)

    assert fired(Timers(store), (1 << 63) - 1) == [(b"a", (256, 1, b""))]


def test_a_timer_that_is_replaced_for_ever_takes_no_more_memory_than_one() -> None:
    timers = Timers(MemoryStore())
    for due_us in range(10_000):
        timers.set(due_us, b"a", (256, 1, b""))

    assert len(timers._heap) < 100
    assert fired(timers, 9_998) == []
    assert fired(timers, 9_999) == [(b"a", (256, 1, b""))]


def fired(timers: Timers, now_us: int) -> list[tuple[bytes, EncodedEvent]]:
    """Return what is due by ``now_us``, one after the other."""
    found = []
    while (timer := timers.pop_due(now_us)) is not None:
        found.append(timer)
    return found


def commit(timers: Timers, store: MemoryStore) -> None:
    changes: Changes = {}
    timers.collect(changes)
    store.write(changes)
