"""Broadcast tables: whatever the order in which records come, every shard ends with the same content."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernel import keys, reshard
from pipeline.kernel.hashrange import FULL_RANGE
from pipeline.kernel.tables import BroadcastTable, Changes, MessagePackValues, Scope, Version
from pipeline.state.memory import MemoryStore
from tests.unit.kernel.strategies import lineages

versions = st.tuples(st.integers(-5, 5), st.sampled_from([b"shard-0", b"shard-1"]), lineages)
news = st.dictionaries(versions, st.tuples(st.sampled_from([b"a", b"b"]), st.integers(0, 99)), max_size=10)

News = dict[Version, tuple[bytes, int]]


@given(news, st.data())
def test_any_order_of_arrival_gives_the_same_content(told: News, data: st.DataObject) -> None:
    orders = [data.draw(st.permutations(sorted(told))) for _ in range(2)]

    one, other = (content_of(store_told(told, order)) for order in orders)

    assert one == other == {key: latest(told, key) for key, _ in told.values()}


@given(news, st.data())
def test_a_merge_knows_the_latest_that_any_parent_knew(told: News, data: st.DataObject) -> None:
    parts = [data.draw(st.lists(st.sampled_from(sorted(told)))) if told else [] for _ in range(2)]
    parents = [store_told(told, part) for part in parts]
    heard = {version: told[version] for part in parts for version in part}

    child = MemoryStore()
    child.write(reshard.small_rows(parents, FULL_RANGE))

    assert content_of(child) == {key: latest(heard, key) for key, _ in heard.values()}


def test_a_record_that_comes_twice_is_not_later_than_itself() -> None:
    scope = Scope(0)
    table = BroadcastTable(1, MessagePackValues(int), scope, MemoryStore())
    scope.version = (1, b"shard-0", b"lineage")

    assert table.put(1, b"a")
    assert not table.put(2, b"a")
    assert table.get(b"a") == 1


def store_told(told: News, order: list[Version]) -> MemoryStore:
    """Return the store of a shard that heard ``told`` in ``order``, restarted now and then."""
    store = MemoryStore()
    for version in order:
        scope = Scope(0)
        scope.version = version
        table = BroadcastTable(1, MessagePackValues(int), scope, store)
        key, value = told[version]
        table.put(value, key)
        changes: Changes = {}
        table.collect(changes, [])
        store.write(changes)
    return store


def content_of(store: MemoryStore) -> dict[bytes, int]:
    assert all(row[:2] == keys.BROADCAST + b"\x01" for row, _ in store.scan(b"", b"\xff"))
    return dict(BroadcastTable(1, MessagePackValues(int), Scope(0), store).items())


def latest(told: News, key: bytes) -> int:
    return max((version, value) for version, (of, value) in told.items() if of == key)[1]
