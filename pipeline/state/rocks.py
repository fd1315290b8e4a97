"""State on disk: one RocksDB database for each stage and shard, larger than memory, with memory bounded.

Three rules carry the commit protocol; each was measured, and breaking it loses money:

- **One column family, no write-ahead log.**  Then a crash leaves the database at the boundary of *some* write batch,
  with the position and the values of that batch together.  With two column families it does not.
- **Flush before a checkpoint.**  ``flush`` blocks without the GIL, so it runs in a thread beside the hot path;
  ``checkpoint`` holds the GIL, and takes milliseconds only because there is nothing left to flush.
- **Options are given twice.**  ``Rdict(path, options)`` on a database that exists silently drops bloom filter and block
  cache unless they are named for the column family too.

All stores of a worker share one block cache and one budget for write buffers, so its memory does not grow with the
number of its shards.

A database comes into its place whole: it is made or fetched beside it and then renamed, and what was there before is
renamed away first.  A crash in between leaves no store, never half of one.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from pipeline.errors import StateError
from pipeline.state.durable import check_name, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_MEBIBYTE = 1 << 20
_BUFFERS = 4
_BLOOM_BITS_PER_KEY = 10
_BUFFERS_PER_COMPACTION = 8
"""Flushed buffers merged at once, and the size of the level that they go to: the values that change most are merged
while they still replace each other, which halves the background work that a batch causes."""
_UNFLUSHED_BLOOM_SHARE = 0.02
"""Of a write buffer's size: some 18 bits a key.  Most keys that are looked up are new, and walking down a full buffer
to find nothing costs 3 to 5 us; the filter answers in 0.3."""


@dataclass(frozen=True, slots=True)
class RocksSettings:
    """Bounds on what the stores of one worker may use, all shards together."""

    block_cache_mib: int = 64
    write_buffers_mib: int = 256
    background_jobs: int = 2


class RocksStore:
    """A ``StateStore`` in one RocksDB database."""

    def __init__(self, database: Rdict, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[method-assign, assignment]  # a property; the stub is wrong

    def get(self, key: bytes) -> bytes | None:
        """Return the value under ``key``, or None."""
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:
            raise StateError(f"state in {self._folder} cannot be read: {error}") from error
        return value

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the pairs with ``first <= key < end`` as they are now, in the order of the keys."""
        until = _until(end)
        pairs = cast("Iterator[tuple[bytes, bytes]]", self._database.items(from_key=first, read_opt=until))
        return self._to_the_end(pairs, first, self._database.iter(until), until)  # both see the state of this moment

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Apply one atomic batch: first the ``dropped`` ranges are deleted, then ``changes`` applied."""
        batch = WriteBatch(raw_mode=True)
        for first, end in dropped:
            batch.delete_range(first, end)
        put = batch.put
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                put(key, value)
        try:
            self._database.write(batch, self._unlogged)
        except Exception as error:
            raise StateError(f"state in {self._folder} cannot be written: {error}") from error

    def flush(self) -> None:
        """Make everything written so far durable.  Blocks without the GIL; call it in a thread.

        Flushes twice: the second time what was written during the first, so that ``checkpoint`` finds little to do.
        """
        try:
            for _ in range(2):
                self._database.flush(wait=True)
        except Exception as error:
            raise StateError(f"state in {self._folder} cannot be flushed: {error}") from error

    def checkpoint(self, folder: Path) -> None:
        """Hard-link a consistent copy into ``folder``, which must not exist; holds the GIL: ``flush`` before it."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            Checkpoint(self._database).create_checkpoint(str(folder))
        except Exception as error:
            raise StateError(f"state in {self._folder} cannot be checkpointed into {folder}: {error}") from error

    def close(self) -> None:
        """Flush and release the files; a closed store must not be used."""
        self._database.close()

    def _to_the_end(
        self, pairs: Iterator[tuple[bytes, bytes]], first: bytes, rest: RdictIter, _until: ReadOptions
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield ``pairs``, then make sure with ``rest`` that they were all: at a damaged block ``pairs`` just stops.

        The options are kept for as long: RocksDB only points to the bound inside them, and past their end reads
        whatever stands there then.
        """
        last = None
        for pair in pairs:
            yield pair
            last = pair[0]
        rest.seek(first if last is None else last + b"\0")  # the least key behind the last one
        try:
            rest.status()
        except Exception as error:
            raise StateError(f"state in {self._folder} is damaged: {error}") from error
        if rest.valid():
            raise StateError(f"state in {self._folder}: reading stopped before {rest.key().hex()}; read it again")


class RocksStores:
    """A ``Stores`` with one folder for each stage and shard below ``folder``."""

    def __init__(self, folder: Path, settings: RocksSettings | None = None) -> None:
        self._folder = folder
        settings = settings or RocksSettings()
        cache = Cache(settings.block_cache_mib * _MEBIBYTE)
        buffers = WriteBufferManager(settings.write_buffers_mib * _MEBIBYTE, allow_stall=False)
        self._existing = _options(settings, cache, buffers)
        self._new = _options(settings, cache, buffers)
        self._new.create_if_missing(create_if_missing=True)

    def open(self, stage: str, shard_id: str) -> RocksStore | None:
        """Return the store this worker already has for the shard, or None."""
        place = self._place(stage, shard_id)
        return _open(place, self._existing) if place.exists() else None

    def create(self, stage: str, shard_id: str) -> RocksStore:
        """Return a new, empty store; what was there is removed."""
        place = self._place(stage, shard_id)
        fresh = place.with_name(f".{place.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        _open(fresh, self._new).close()
        return self.adopt(stage, shard_id, fresh)

    def adopt(self, stage: str, shard_id: str, folder: Path) -> RocksStore:
        """Move the checkpoint in ``folder`` into the place of the shard's store, and open it."""
        place = self._place(stage, shard_id)
        place.parent.mkdir(parents=True, exist_ok=True)
        replaced = place.with_name(f".{place.name}.replaced")
        shutil.rmtree(replaced, ignore_errors=True)
        if place.exists():
            place.rename(replaced)
        folder.rename(place)
        sync_folder(place.parent)
        shutil.rmtree(replaced, ignore_errors=True)
        return _open(place, self._existing)

    def read(self, folder: Path) -> RocksStore:
        """Open a checkpoint to read from; no file in it is changed or added."""
        if not folder.exists():
            raise StateError(f"{folder} is not a checkpoint: it does not exist")
        return _open(folder, self._existing, AccessType.read_only())

    def _place(self, stage: str, shard_id: str) -> Path:
        return self._folder / check_name(stage) / check_name(shard_id)


def _open(folder: Path, options: Options, access: AccessType | None = None) -> RocksStore:
    families = {"default": options}
    try:
        database = Rdict(str(folder), options, families, access or AccessType.read_write())
    except Exception as error:
        raise StateError(_why_not_opened(folder, str(error))) from error
    return RocksStore(database, folder)


def _until(end: bytes) -> ReadOptions:
    options = ReadOptions()
    options.set_iterate_upper_bound(end)
    options.fill_cache(False)  # type: ignore[call-arg]  # noqa: FBT003 - the stub lacks it; scans must not evict
    return options


def _why_not_opened(folder: Path, reason: str) -> str:
    if "lock" in reason.lower():
        return f"state in {folder} is open in another process (or twice in this one); stop that first: {reason}"
    return f"state in {folder} is damaged; remove the folder to restore the newest snapshot: {reason}"


def _options(settings: RocksSettings, cache: Cache, buffers: WriteBufferManager) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_level_compaction_dynamic_level_bytes(v=True)
    options.set_max_background_jobs(settings.background_jobs)
    buffer_bytes = settings.write_buffers_mib * _MEBIBYTE // _BUFFERS
    options.set_write_buffer_size(buffer_bytes)
    options.set_max_write_buffer_number(_BUFFERS)
    options.set_level_zero_file_num_compaction_trigger(_BUFFERS_PER_COMPACTION)
    options.set_max_bytes_for_level_base(_BUFFERS_PER_COMPACTION * buffer_bytes)
    options.set_memtable_prefix_bloom_ratio(_UNFLUSHED_BLOOM_SHARE)
    options.set_memtable_whole_key_filtering(whole_key_filter=True)
    options.set_write_buffer_manager(buffers)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(_MEBIBYTE)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options
