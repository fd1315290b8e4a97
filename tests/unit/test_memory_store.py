"""The weakness of state on disk, on purpose: a crash may take back what was not flushed."""

from __future__ import annotations

import random

import pytest

from pipeline.state.digest import END_OF_KEYS
from pipeline.state.memory import MemoryStore, MemoryStores


def everything(store: MemoryStore) -> list[tuple[bytes, bytes]]:
    return list(store.scan(b"", END_OF_KEYS))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStores(undoable=True).create("authorise", "shard-0")


def test_a_crash_takes_back_whole_batches_the_last_first(store: MemoryStore) -> None:
    store.write({b"a": b"1", b"b": b"1"})
    store.write({b"a": b"2", b"c": b"2"})
    store.write({b"a": None, b"d": b"3"}, dropped=[(b"b", b"d")])

    store.lose(2)

    assert everything(store) == [(b"a", b"1"), (b"b", b"1")]
    assert store.unflushed == 1


def test_a_crash_takes_back_nothing_that_was_flushed(store: MemoryStore) -> None:
    store.write({b"a": b"1"})
    store.flush()
    store.write({b"a": b"2"})

    with pytest.raises(ValueError, match="2 batches cannot be lost: 1 are not flushed"):
        store.lose(2)
    store.lose(1)

    assert everything(store) == [(b"a", b"1")]


def test_any_crash_leaves_the_state_after_some_batch(store: MemoryStore) -> None:
    draw = random.Random(7)
    states = [everything(store)]
    for _ in range(300):
        changes = {draw.randbytes(1): draw.choice([None, draw.randbytes(2)]) for _ in range(5)}
        first, end = sorted((draw.randbytes(1), draw.randbytes(1)))
        store.write(changes, [(first, end)] if draw.random() < 0.3 else [])
        states.append(everything(store))
        if draw.random() < 0.2:
            lost = draw.randint(0, store.unflushed)
            store.lose(lost)
            states = states[: len(states) - lost]
            assert everything(store) == states[-1]
        if draw.random() < 0.1:
            store.flush()


def test_a_store_that_cannot_undo_keeps_nothing_for_it() -> None:
    store = MemoryStore()

    store.write({b"a": b"1"})

    assert store.unflushed == 0


def test_stores_outlive_their_closing_as_files_do() -> None:
    stores = MemoryStores()
    stores.create("authorise", "shard-0").write({b"a": b"1"})

    opened = stores.open("authorise", "shard-0")
    assert opened is not None
    opened.close()

    again = stores.open("authorise", "shard-0")
    assert again is not None
    assert again.get(b"a") == b"1"
