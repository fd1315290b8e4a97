"""What every state store promises, in memory and on disk."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StateError
from pipeline.ports import StateStore, Stores
from pipeline.state.digest import END_OF_KEYS, FileDigests, state_digest
from pipeline.state.memory import MemoryStores
from pipeline.state.rocks import RocksSettings, RocksStores

SMALL = RocksSettings(block_cache_mib=1, write_buffers_mib=4)


def make_stores(kind: str, folder: Path) -> Stores:
    return MemoryStores() if kind == "memory" else RocksStores(folder / "state", SMALL)


@pytest.fixture(params=["memory", "rocks"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stores(kind: str, tmp_path: Path) -> Stores:
    return make_stores(kind, tmp_path)


@pytest.fixture
def store(stores: Stores) -> StateStore:
    return stores.create("authorise", "shard-0")


def everything(store: StateStore) -> list[tuple[bytes, bytes]]:
    return list(store.scan(b"", END_OF_KEYS))


def test_a_new_store_is_empty(store: StateStore) -> None:
    assert store.get(b"a") is None
    assert everything(store) == []


def test_what_was_written_is_read(store: StateStore) -> None:
    store.write({b"a": b"1", b"b": b""})

    assert (store.get(b"a"), store.get(b"b"), store.get(b"c")) == (b"1", b"", None)


def test_none_deletes_a_key_also_one_that_is_not_there(store: StateStore) -> None:
    store.write({b"a": b"1", b"b": b"2"})

    store.write({b"a": None, b"z": None})

    assert everything(store) == [(b"b", b"2")]


def test_a_scan_gives_keys_in_byte_order_from_first_up_to_end(store: StateStore) -> None:
    store.write({b"b": b"2", b"a\xfe": b"1", b"c": b"3", b"a": b"0", b"b\0": b"4"})

    assert [key for key, _ in store.scan(b"a", b"c")] == [b"a", b"a\xfe", b"b", b"b\0"]
    assert [key for key, _ in store.scan(b"a\0", b"b")] == [b"a\xfe"]
    assert list(store.scan(b"c", b"a")) == []


def test_a_scan_gives_the_state_as_it_was_when_it_began(store: StateStore) -> None:
    store.write({b"a": b"1", b"b": b"2"})
    pairs = store.scan(b"", END_OF_KEYS)

    store.write({b"a": b"9", b"b": None, b"c": b"3"})

    assert list(pairs) == [(b"a", b"1"), (b"b", b"2")]


def test_dropped_ranges_go_before_the_changes_of_the_same_batch(store: StateStore) -> None:
    store.write({b"a": b"1", b"b": b"2", b"c": b"3", b"d": b"4"})

    store.write({b"b": b"new"}, dropped=[(b"a", b"c"), (b"d", b"e")])

    assert everything(store) == [(b"b", b"new"), (b"c", b"3")]
    assert store.get(b"a") is None


def test_a_dropped_range_stays_dropped_when_its_keys_come_back(store: StateStore) -> None:
    store.write({b"a1": b"1", b"a2": b"2"})
    store.write({}, dropped=[(b"a", b"b")])

    store.write({b"a1": b"3"})

    assert everything(store) == [(b"a1", b"3")]


def test_a_store_is_found_again_with_what_it_held(stores: Stores, store: StateStore) -> None:
    store.write({b"a": b"1"})
    store.close()

    again = stores.open("authorise", "shard-0")

    assert again is not None
    assert again.get(b"a") == b"1"


def test_a_store_that_was_never_made_is_not_found(stores: Stores, store: StateStore) -> None:
    assert stores.open("authorise", "shard-1") is None
    assert stores.open("settle", "shard-0") is None


def test_creating_a_store_removes_what_was_there(stores: Stores, store: StateStore) -> None:
    store.write({b"a": b"1"})
    store.close()

    assert everything(stores.create("authorise", "shard-0")) == []


def test_stores_of_two_shards_share_nothing(stores: Stores, store: StateStore) -> None:
    other = stores.create("authorise", "shard-1")

    store.write({b"a": b"1"})

    assert everything(other) == []


def test_a_checkpoint_holds_the_state_of_its_moment(stores: Stores, store: StateStore, tmp_path: Path) -> None:
    store.write({b"a": b"1"})
    store.flush()
    store.checkpoint(tmp_path / "checkpoint")
    store.write({b"a": b"2", b"b": b"3"})

    copy = stores.read(tmp_path / "checkpoint")

    assert everything(copy) == [(b"a", b"1")]
    assert store.get(b"a") == b"2"


def test_a_checkpoint_has_what_was_not_flushed_too(stores: Stores, store: StateStore, tmp_path: Path) -> None:
    store.write({b"a": b"1"})

    store.checkpoint(tmp_path / "checkpoint")

    assert everything(stores.read(tmp_path / "checkpoint")) == [(b"a", b"1")]


def test_reading_a_checkpoint_changes_no_file_in_it(stores: Stores, store: StateStore, tmp_path: Path) -> None:
    store.write({b"a%d" % i: b"1" * 100 for i in range(1000)})
    store.flush()
    store.checkpoint(tmp_path / "checkpoint")
    before = FileDigests().of(tmp_path / "checkpoint")

    copy = stores.read(tmp_path / "checkpoint")
    assert len(everything(copy)) == 1000
    copy.close()

    assert FileDigests().of(tmp_path / "checkpoint") == before


def test_a_checkpoint_can_be_read_twice_at_once(stores: Stores, store: StateStore, tmp_path: Path) -> None:
    store.write({b"a": b"1"})
    store.checkpoint(tmp_path / "checkpoint")

    copies = [stores.read(tmp_path / "checkpoint") for _ in range(2)]

    assert [copy.get(b"a") for copy in copies] == [b"1", b"1"]


def test_an_adopted_checkpoint_replaces_the_store(stores: Stores, store: StateStore, tmp_path: Path) -> None:
    store.write({b"a": b"1"})
    store.checkpoint(tmp_path / "checkpoint")
    store.write({b"a": b"2", b"b": b"2"})
    store.close()

    adopted = stores.adopt("authorise", "shard-0", tmp_path / "checkpoint")
    adopted.write({b"c": b"3"})

    assert everything(adopted) == [(b"a", b"1"), (b"c", b"3")]
    assert not (tmp_path / "checkpoint").exists()


def test_what_is_no_checkpoint_is_refused_by_name(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    for name in ("empty", "absent"):
        with pytest.raises(StateError, match=name):
            stores.read(tmp_path / name)


def test_a_damaged_checkpoint_is_refused_by_name(stores: Stores, store: StateStore, tmp_path: Path) -> None:
    store.write({b"a%d" % i: b"%d" % i * 100 for i in range(1000)})
    store.flush()
    store.checkpoint(tmp_path / "checkpoint")
    largest = max((tmp_path / "checkpoint").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)

    with pytest.raises(StateError, match="checkpoint"):
        everything(stores.read(tmp_path / "checkpoint"))


def test_equal_states_have_equal_digests_however_they_came_about(stores: Stores, store: StateStore) -> None:
    other = stores.create("authorise", "shard-1")
    store.write({b"a": b"1", b"b": b"2"})
    other.write({b"b": b"9", b"c": b"3"})
    other.write({b"b": b"2", b"c": None})
    other.write({b"a": b"1"})

    assert state_digest(store) == state_digest(other)


@pytest.mark.parametrize("changed", [{b"a": b"2"}, {b"a": None}, {b"": b""}, {b"a": None, b"a1": b""}])
def test_different_states_have_different_digests(store: StateStore, changed: dict[bytes, bytes | None]) -> None:
    store.write({b"a": b"1"})
    before = state_digest(store)

    store.write(changed)

    assert state_digest(store) != before


def test_a_digest_does_not_depend_on_the_kind_of_store(tmp_path: Path) -> None:
    digests = set()
    for kind in ("memory", "rocks"):
        store = make_stores(kind, tmp_path).create("authorise", "shard-0")
        store.write({b"%06d" % i: b"v" * (i % 300) for i in range(10_000)})
        digests.add(state_digest(store))

    assert len(digests) == 1


KEYS = st.binary(max_size=3).filter(lambda key: key < END_OF_KEYS)
RANGES = st.tuples(KEYS, KEYS).map(lambda pair: (min(pair), max(pair)))
BATCHES = st.tuples(st.dictionaries(KEYS, st.none() | st.binary(max_size=5)), st.lists(RANGES, max_size=2))


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(BATCHES | RANGES, max_size=12))
@pytest.mark.parametrize("kind", ["memory", "rocks"])
def test_a_store_behaves_like_a_sorted_dict(kind: str, steps: list[tuple[object, object]]) -> None:
    with TemporaryDirectory() as folder:
        store = make_stores(kind, Path(folder)).create("authorise", "shard-0")
        model: dict[bytes, bytes] = {}
        for step in steps:
            match step:
                case (dict(changes), list(dropped)):
                    store.write(changes, dropped)
                    model = after(model, changes, dropped)
                case (bytes(first), bytes(end)):
                    assert list(store.scan(first, end)) == sorted(p for p in model.items() if first <= p[0] < end)
        assert everything(store) == sorted(model.items())
        assert {key: store.get(key) for key in model} == model
        store.close()


def after(
    model: dict[bytes, bytes], changes: dict[bytes, bytes | None], dropped: list[tuple[bytes, bytes]]
) -> dict[bytes, bytes]:
    kept = {key: value for key, value in model.items() if not any(first <= key < end for first, end in dropped)}
    merged = {**kept, **changes}
    return {key: value for key, value in merged.items() if value is not None}
