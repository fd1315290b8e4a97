"""What the store on disk promises beyond the contract: crashes, damage, two processes, bounded memory."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline.errors import StateError
from pipeline.state.digest import END_OF_KEYS
from pipeline.state.rocks import RocksSettings, RocksStore, RocksStores

SMALL = RocksSettings(block_cache_mib=1, write_buffers_mib=4)

WRITER = """
import sys
from pathlib import Path
from threading import Thread
from pipeline.state.rocks import RocksSettings, RocksStores

store = RocksStores(Path(sys.argv[1]), RocksSettings(block_cache_mib=1, write_buffers_mib=4)).open("stage", "shard")
position = int(store.get(b"position"))

def flush(until):
    store.flush()
    print(until, flush=True)

flushing = Thread()
while True:
    position += 1
    number = b"%d" % position
    changes = {b"value/%d" % i: number.ljust(400) for i in range(50)}
    changes[b"position"] = number
    changes[b"generation/%010d" % position] = number
    store.write(changes, [(b"generation/", b"generation/%010d" % (position - 2))])
    if position % 50 == 0 and not flushing.is_alive():
        flushing = Thread(target=flush, args=(position,))
        flushing.start()
"""

FULL_DISK_WRITER = """
import os, resource, sys
from pathlib import Path
from pipeline.errors import StateError
from pipeline.state.rocks import RocksSettings, RocksStores

store = RocksStores(Path(sys.argv[1]), RocksSettings(block_cache_mib=1, write_buffers_mib=4)).open("stage", "shard")
resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))  # no file may grow beyond it, as on a full disk
position = 0
while True:
    position += 1
    number = b"%d" % position
    changes = {b"value/%d" % i: number + os.urandom(400) for i in range(50)}
    try:
        store.write({**changes, b"position": number})
    except StateError as error:
        print(error, flush=True)
        os._exit(0)
"""

HOLDER = """
import sys
from pathlib import Path
from pipeline.state.rocks import RocksStores

store = RocksStores(Path(sys.argv[1])).open("stage", "shard")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def stores(folder: Path) -> RocksStores:
    return RocksStores(folder, SMALL)


def opened(stores: RocksStores) -> RocksStore:
    store = stores.open("stage", "shard")
    assert store is not None
    return store


def a_closed_store(stores: RocksStores) -> None:
    store = stores.create("stage", "shard")
    store.write({b"%06d" % i: random.Random(i).randbytes(100) for i in range(5000)})
    store.flush()
    store.close()


@contextmanager
def child(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_process_leaves_a_state_at_the_boundary_of_a_batch(stores: RocksStores, folder: Path) -> None:
    store = stores.create("stage", "shard")
    store.write({b"position": b"0"})
    store.close()
    draw = random.Random(20)
    reached = 0
    for _ in range(10):
        with child(WRITER, folder) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            with suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0, 0.1))
            process.kill()
            lines += process.stdout.readlines()
        flushed = max(int(line) for line in lines if line.endswith("\n"))
        reached = check_boundary(stores, flushed)
    assert reached > 0


def test_a_full_disk_refuses_writes_and_loses_no_committed_boundary(stores: RocksStores, folder: Path) -> None:
    store = stores.create("stage", "shard")
    store.write({b"position": b"0"})
    store.close()

    with child(FULL_DISK_WRITER, folder) as process:
        told, _ = process.communicate(timeout=60)

    assert "stage/shard cannot be written" in told
    store = opened(stores)
    position = store.get(b"position")
    assert position is not None
    assert all(value.startswith(position) for _, value in store.scan(b"value/", b"value0"))


def check_boundary(stores: RocksStores, flushed: int) -> int:
    """Every row written by the batch at the position is there, and none of a later one; return the position."""
    store = opened(stores)
    position = store.get(b"position")
    values = {value.strip() for _, value in store.scan(b"value/", b"value0")}
    generations = [int(value) for _, value in store.scan(b"generation/", b"generation0")]
    store.close()
    assert position is not None
    reached = int(position)
    assert reached >= flushed
    assert values == {position}
    assert generations == [number for number in range(reached - 2, reached + 1) if number > 0]
    return reached


def test_a_store_that_another_process_has_open_is_refused_by_name(stores: RocksStores, folder: Path) -> None:
    a_closed_store(stores)
    with child(HOLDER, folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"

        with pytest.raises(StateError, match=r"stage/shard is open in another process"):
            stores.open("stage", "shard")


def test_a_store_that_is_open_twice_is_refused_by_name(stores: RocksStores) -> None:
    store = stores.create("stage", "shard")

    with pytest.raises(StateError, match=r"stage/shard is open in another process \(or twice in this one\)"):
        stores.open("stage", "shard")

    store.write({b"a": b"1"})


@pytest.mark.parametrize("pattern", ["CURRENT", "*.sst"])
def test_a_truncated_store_is_refused_by_name(stores: RocksStores, folder: Path, pattern: str) -> None:
    a_closed_store(stores)
    damaged = next((folder / "stage" / "shard").glob(pattern))
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])

    with pytest.raises(StateError, match="stage/shard is damaged"):
        stores.open("stage", "shard")


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_a_store_that_lost_a_file_is_not_taken_for_an_empty_one(
    stores: RocksStores, folder: Path, pattern: str
) -> None:
    a_closed_store(stores)
    next((folder / "stage" / "shard").glob(pattern)).unlink()

    with pytest.raises(StateError, match="stage/shard is damaged"):
        stores.open("stage", "shard")


def test_a_damaged_block_is_found_by_whoever_reads_it(stores: RocksStores, folder: Path) -> None:
    a_closed_store(stores)
    damaged = next((folder / "stage" / "shard").glob("*.sst"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    store = opened(RocksStores(folder, SMALL))  # a new one: its cache holds none of the blocks

    with pytest.raises(StateError, match="stage/shard is damaged"):
        list(store.scan(b"", END_OF_KEYS))
    with pytest.raises(StateError, match="stage/shard cannot be read"):
        [store.get(b"%06d" % i) for i in range(5000)]


def test_state_larger_than_cache_and_buffers_is_kept(stores: RocksStores) -> None:
    store = stores.create("stage", "shard")
    draw = random.Random(1)
    filler = [draw.randbytes(1200) for _ in range(100)]
    for batch in range(80):  # 48 MB of values; cache and buffers have 5 MiB
        store.write({b"%08d" % i: filler[i % 100] for i in range(batch * 500, batch * 500 + 500)})

    for i in draw.sample(range(40_000), 2000):
        assert store.get(b"%08d" % i) == filler[i % 100]
    assert store.get(b"absent") is None
    assert sum(1 for _ in store.scan(b"", END_OF_KEYS)) == 40_000


def test_an_adoption_cut_short_leaves_the_old_store_or_none(
    stores: RocksStores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for renames, left in ((0, b"old"), (1, None)):
        store = stores.create("stage", "shard")
        store.write({b"a": b"new"})
        store.checkpoint(tmp_path / f"checkpoint-{renames}")
        store.write({b"a": b"old"})
        store.close()

        with monkeypatch.context() as patched:
            interrupt_rename(patched, after=renames)
            with pytest.raises(KeyboardInterrupt):
                stores.adopt("stage", "shard", tmp_path / f"checkpoint-{renames}")

        found = stores.open("stage", "shard")
        assert (found and found.get(b"a")) == left
        if found:
            found.close()
        again = stores.adopt("stage", "shard", tmp_path / f"checkpoint-{renames}")
        assert again.get(b"a") == b"new"
        again.close()


def interrupt_rename(patched: pytest.MonkeyPatch, after: int) -> None:
    rename = Path.rename
    calls: list[Path] = []

    def interrupted(path: Path, target: Path) -> Path:
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(path)
        return rename(path, target)

    patched.setattr(Path, "rename", interrupted)


def test_a_scan_that_was_given_up_does_not_keep_the_store_open(stores: RocksStores) -> None:
    store = stores.create("stage", "shard")
    store.write({b"a": b"1", b"b": b"2"})
    pairs = store.scan(b"", END_OF_KEYS)
    assert next(pairs) == (b"a", b"1")
    del pairs
    store.close()

    assert opened(stores).get(b"a") == b"1"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden"])
def test_a_name_that_is_no_folder_is_refused(stores: RocksStores, name: str) -> None:
    with pytest.raises(ValueError, match="not a name for a folder"):
        stores.create("stage", name)
