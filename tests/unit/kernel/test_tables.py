"""Keyed tables against a plain dict, and what becomes of them when a behaviour brings another codec."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pipeline.errors import InvariantViolation
from pipeline.kernel.hashrange import FULL_RANGE, HashRange
from pipeline.kernel.tables import Changes, Dropped, MessagePackValues, Scope, Table, Tables
from pipeline.state.memory import MemoryStore

HASHES = [bytes(16), bytes(15) + b"\x01", b"\x7f" * 16, b"\xff" * 16]
KEYS = [b"", b"a", b"ab", b"b"]
CACHED_MAX = 3

hashes, keys = st.sampled_from(HASHES), st.sampled_from(KEYS)


class TablesAndDicts(RuleBasedStateMachine):
    """Two tables of one store, with a cache so small that it turns over all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.expected: dict[int, dict[tuple[bytes, bytes], int]] = {1: {}, 2: {}}
        self.restart()

    @rule(number=st.sampled_from([1, 2]), hashed=hashes, key=keys, value=st.integers(0, 99))
    def put(self, number: int, hashed: bytes, key: bytes, value: int) -> None:
        self.reach(number, hashed).put(value, key)
        self.expected[number][hashed, key] = value

    @rule(number=st.sampled_from([1, 2]), hashed=hashes, key=keys)
    def delete(self, number: int, hashed: bytes, key: bytes) -> None:
        self.reach(number, hashed).delete(key)
        self.expected[number].pop((hashed, key), None)

    @rule(number=st.sampled_from([1, 2]), hashed=hashes, key=keys)
    def get(self, number: int, hashed: bytes, key: bytes) -> None:
        assert self.reach(number, hashed).get(key) == self.expected[number].get((hashed, key))

    @rule(number=st.sampled_from([1, 2]), first=hashes, last=hashes)
    def scan(self, number: int, first: bytes, last: bytes) -> None:
        if first <= last:
            inside = [(h, k, v) for (h, k), v in self.expected[number].items() if first <= h <= last]
            assert self.tables[number].scan(HashRange.from_bytes(first, last)) == sorted(inside)

    @rule()
    def commit(self) -> None:
        changes: Changes = {}
        for table in self.tables.values():
            table.collect(changes, [])
        self.store.write(changes)

    @rule()
    def commit_and_restart(self) -> None:
        self.commit()
        self.restart()

    def restart(self) -> None:
        self.scope = Scope(0)
        codec = MessagePackValues(int)
        self.tables = {number: Table(number, codec, self.scope, self.store, CACHED_MAX) for number in (1, 2)}

    def reach(self, number: int, hashed: bytes) -> Table[int]:
        self.scope.hashed = hashed
        return self.tables[number]


TestTablesAndDicts = TablesAndDicts.TestCase


def test_a_scan_leaves_the_record_in_hand_where_it_was() -> None:
    scope = Scope(0)
    table = Table(1, MessagePackValues(int), scope, MemoryStore(), CACHED_MAX)
    scope.hashed = HASHES[2]
    table.put(1)

    table.scan(FULL_RANGE)

    assert scope.hashed == HASHES[2]


def test_the_cache_keeps_about_two_generations_however_much_is_read() -> None:
    store = MemoryStore()
    scope = Scope(0)
    table = Table(1, MessagePackValues(int), scope, store, cached=10)
    for number in range(1_000):
        scope.hashed = number.to_bytes(16, "big")
        table.get()
        if number % 5 == 0:
            commit(table, store)

    assert table.cached_rows < 40


class Old(msgspec.Struct):
    """A value as the first behaviour knows it."""

    count: int


class New(msgspec.Struct):
    """The same as the second knows it."""

    count: int
    unit: str = "payments"


def test_a_behaviour_finds_what_the_one_before_it_wrote_and_never_committed() -> None:
    store = MemoryStore()
    scope = Scope(0)
    tables = Tables(scope, store, cached_per_table=10)
    scope.hashed = HASHES[0]
    before = tables.keyed(1, MessagePackValues(Old))
    before.put(Old(1), b"committed")
    commit(before, store)
    before.put(Old(2), b"dirty")
    before.delete(b"gone")

    after = tables.keyed(1, MessagePackValues(New))

    assert after.get(b"committed") == New(1)
    assert after.get(b"dirty") == New(2)
    assert after.get(b"gone") is None


def test_a_broadcast_table_goes_over_to_the_codec_of_the_next_behaviour() -> None:
    store = MemoryStore()
    scope = Scope(0)
    tables = Tables(scope, store, cached_per_table=10)
    scope.version = (1, b"", b"")
    tables.broadcast(1, MessagePackValues(Old)).put(Old(1), b"a")

    after = tables.broadcast(1, MessagePackValues(New))

    assert list(after.items()) == [(b"a", New(1))]


def test_a_horizon_is_for_ever() -> None:
    tables = Tables(Scope(0), MemoryStore(), cached_per_table=10)
    tables.horizon(1, MessagePackValues(int), horizon_us=100)

    with pytest.raises(InvariantViolation, match="horizon is 100 us and cannot become 200"):
        tables.horizon(1, MessagePackValues(int), horizon_us=200)


def test_a_number_belongs_to_one_kind_of_table() -> None:
    tables = Tables(Scope(0), MemoryStore(), cached_per_table=10)
    tables.keyed(1, MessagePackValues(int))

    with pytest.raises(InvariantViolation, match="taken by a Table, not a BroadcastTable"):
        tables.broadcast(1, MessagePackValues(int))


def commit(table: Table[int] | Table[Old], store: MemoryStore) -> None:
    changes: Changes = {}
    dropped: Dropped = []
    table.collect(changes, dropped)
    store.write(changes, dropped)
