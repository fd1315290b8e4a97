"""State in memory: what the simulator and the tests run on, with the same rules and the same weakness as on disk.

Keys and values live in a dict; the order of the keys is worked out when somebody scans, and then kept up by merging
what came since, so that reading and writing never pay for it.

Nothing here has a thread, a clock or a random number.  A process that dies loses what its store had not flushed, and a
store on disk reopens at *some* committed batch; with ``undoable`` a store here keeps what the batches since the last
flush replaced, and ``lose`` takes back as many of them as a simulated crash demands.

A checkpoint is one file: the pairs in order as a MessagePack map, and behind it the SHA-256 of that.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from pipeline.errors import StateError
from pipeline.state.digest import END_OF_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_FILE_NAME = "pairs"
_DIGEST_BYTES = 32
_encode_pairs = msgspec.msgpack.Encoder().encode
_decode_pairs = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


class MemoryStore:
    """A ``StateStore`` in a dict."""

    def __init__(self, pairs: Mapping[bytes, bytes] | None = None, *, undoable: bool = False) -> None:
        self._pairs: dict[bytes, bytes] = dict(pairs or {})
        self._undoable = undoable
        self._undo: list[dict[bytes, bytes | None]] = []
        self._ordered: list[bytes] = []  # the keys as of the last scan ...
        self._added: set[bytes] = set(self._pairs)  # ... and how they differ from today's; only ever sorted
        self._gone: set[bytes] = set()

    def get(self, key: bytes) -> bytes | None:
        """Return the value under ``key``, or None."""
        return self._pairs.get(key)

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the pairs with ``first <= key < end`` as they are now, in the order of the keys."""
        keys = self._keys_between(first, end)
        return iter([(key, self._pairs[key]) for key in keys])

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Apply one batch: first the ``dropped`` ranges are deleted, then ``changes`` applied."""
        dropped_keys = [key for first, end in dropped for key in self._keys_between(first, end)]
        if self._undoable:
            self._undo.append({key: self._pairs.get(key) for key in (*dropped_keys, *changes)})
        for key in dropped_keys:
            self._delete(key)
        self._apply(changes)

    def flush(self) -> None:
        """Everything written so far survives a crash from here on."""
        self._undo.clear()

    def checkpoint(self, folder: Path) -> None:
        """Write all pairs and their digest into one file in ``folder``, which must not exist."""
        folder.mkdir(parents=True)
        content = _encode_pairs(dict(self.scan(b"", END_OF_KEYS)))
        (folder / _FILE_NAME).write_bytes(content + sha256(content).digest())

    def close(self) -> None:
        """Do nothing: the pairs stay with ``MemoryStores``, as files stay on a disk."""

    @property
    def unflushed(self) -> int:
        """How many batches a crash may lose."""
        return len(self._undo)

    def lose(self, batches: int) -> None:
        """Take back the last ``batches`` batches, as a crash does to those that were not flushed."""
        if not 0 <= batches <= len(self._undo):
            raise ValueError(f"{batches} batches cannot be lost: {len(self._undo)} are not flushed")
        for _ in range(batches):
            self._apply(self._undo.pop())

    def _apply(self, changes: Mapping[bytes, bytes | None]) -> None:
        pairs = self._pairs
        for key, value in changes.items():
            if value is None:
                self._delete(key)
                continue
            if key not in pairs:
                self._note_new(key)
            pairs[key] = value

    def _note_new(self, key: bytes) -> None:
        if key in self._gone:
            self._gone.discard(key)
        else:
            self._added.add(key)

    def _delete(self, key: bytes) -> None:
        if self._pairs.pop(key, None) is None:
            return
        if key in self._added:
            self._added.discard(key)
        else:
            self._gone.add(key)

    def _keys_between(self, first: bytes, end: bytes) -> list[bytes]:
        if self._gone:
            self._ordered = [key for key in self._ordered if key not in self._gone]
            self._gone.clear()
        if self._added:
            self._ordered += sorted(self._added)
            self._ordered.sort()  # two sorted runs: a merge
            self._added.clear()
        return self._ordered[bisect_left(self._ordered, first) : bisect_left(self._ordered, end)]


class MemoryStores:
    """A ``Stores`` whose stores outlive ``close``, as files do, for as long as this object lives."""

    def __init__(self, *, undoable: bool = False) -> None:
        self._undoable = undoable
        self._stores: dict[tuple[str, str], MemoryStore] = {}

    def open(self, stage: str, shard_id: str) -> MemoryStore | None:
        """Return the store of the shard, or None."""
        return self._stores.get((stage, shard_id))

    def create(self, stage: str, shard_id: str) -> MemoryStore:
        """Return a new, empty store in place of any other."""
        store = self._stores[stage, shard_id] = self._new()
        return store

    def adopt(self, stage: str, shard_id: str, folder: Path) -> MemoryStore:
        """Return a store with the content of the checkpoint in ``folder``, which is removed."""
        store = self._stores[stage, shard_id] = self._new(_read_checkpoint(folder))
        (folder / _FILE_NAME).unlink()
        folder.rmdir()
        return store

    def read(self, folder: Path) -> MemoryStore:
        """Return a store with the content of the checkpoint in ``folder``, which stays as it is."""
        return MemoryStore(_read_checkpoint(folder))

    def _new(self, pairs: Mapping[bytes, bytes] | None = None) -> MemoryStore:
        return MemoryStore(pairs, undoable=self._undoable)


def _read_checkpoint(folder: Path) -> dict[bytes, bytes]:
    path = folder / _FILE_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StateError(f"{folder} is not a checkpoint of a memory store: {error}") from error
    pairs, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if sha256(pairs).digest() != digest:
        raise StateError(f"{path} is damaged: its digest does not match its content; use another snapshot")
    return _decode_pairs(pairs)
