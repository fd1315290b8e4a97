"""Horizon tables: nothing is forgotten within a horizon, all after two, and it never matters when it was written.

The model keeps every entry with its time for ever.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pipeline.kernel.tables import Changes, Dropped, HorizonTable, MessagePackValues, Scope
from pipeline.state.digest import END_OF_KEYS
from pipeline.state.memory import MemoryStore

HORIZON_US = 100
KEYS = st.sampled_from([b"a", b"ab", b"b"])
HASHES = st.sampled_from([bytes(16), b"\xff" * 16])
STEPS = st.sampled_from([0, 1, 30, 99, 100, 101, 199, 200, 201, 1000])


class HorizonAndHistory(RuleBasedStateMachine):
    """A table, and all that was ever put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.scope = Scope(5 * HORIZON_US)
        self.put_at: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self.table = a_table(self.scope, self.store)

    @rule(us=STEPS)
    def pass_time(self, us: int) -> None:
        self.scope.now_us += us

    @rule(hashed=HASHES, key=KEYS, value=st.integers(0, 99))
    def put(self, hashed: bytes, key: bytes, value: int) -> None:
        self.scope.hashed = hashed
        self.table.put(value, key)
        self.put_at[hashed, key] = (self.scope.now_us, value)

    @rule(hashed=HASHES, key=KEYS)
    def get(self, hashed: bytes, key: bytes) -> None:
        self.scope.hashed = hashed
        found = self.table.get(key)
        at_us, value = self.put_at.get((hashed, key), (-1, None))
        age_us = self.scope.now_us - at_us
        assert found in (None, value)
        if value is not None and age_us <= HORIZON_US:
            assert found == value
        if age_us >= 2 * HORIZON_US:
            assert found is None

    @rule()
    def commit(self) -> None:
        commit(self.table, self.store)

    @rule()
    def commit_and_restart(self) -> None:
        commit(self.table, self.store)
        self.table = a_table(self.scope, self.store)


TestHorizonAndHistory = HorizonAndHistory.TestCase


@given(st.lists(st.tuples(STEPS, HASHES, KEYS), max_size=20), st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_what_is_kept_does_not_depend_on_when_it_was_committed_or_restarted(
    puts: list[tuple[int, bytes, bytes]], commits: set[int], restarts: set[int]
) -> None:
    assert rows_after(puts, commits, restarts) == rows_after(puts, set(), set())


def test_what_has_passed_is_gone_from_the_store() -> None:
    store = MemoryStore()
    scope = Scope(5 * HORIZON_US)
    table = a_table(scope, store)
    table.put(1, b"a")
    commit(table, store)

    scope.now_us += 2 * HORIZON_US
    commit(table, store)

    assert list(store.scan(b"", END_OF_KEYS)) == []


def rows_after(
    puts: list[tuple[int, bytes, bytes]], commits: set[int], restarts: set[int]
) -> list[tuple[bytes, bytes]]:
    """Return the rows of a table after ``puts``, with commits and restarts before some of them."""
    store = MemoryStore()
    scope = Scope(5 * HORIZON_US)
    table = a_table(scope, store)
    for number, (us, hashed, key) in enumerate(puts):
        if number in commits | restarts:
            commit(table, store)
        if number in restarts:
            table = a_table(scope, store)
        scope.now_us += us
        scope.hashed = hashed
        table.put(number, key)
    commit(table, store)
    return list(store.scan(b"", END_OF_KEYS))


def a_table(scope: Scope, store: MemoryStore) -> HorizonTable[int]:
    return HorizonTable(7, MessagePackValues(int), HORIZON_US, scope, store)


def commit(table: HorizonTable[int], store: MemoryStore) -> None:
    changes: Changes = {}
    dropped: Dropped = []
    table.collect(changes, dropped)
    store.write(changes, dropped)
