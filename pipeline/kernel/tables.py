"""Keyed state: what agents remember between records.

A table can only be reached under the hash of the record in hand.  So an agent cannot touch what belongs to a key that
another shard may own, and a range of hashes can be moved with everything that was ever written under it.

Values are read once, kept decoded while they are hot, and written by the commit.  A value may be changed in place; it
counts as written only once it was ``put``.  The cache is two generations of entries: when the young one is full, the
old one is forgotten, and what is used again is young again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import msgspec

from pipeline.errors import InvariantViolation
from pipeline.kernel import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.kernel.hashrange import HashRange
    from pipeline.ports import StateStore

V = TypeVar("V")
Changes = dict[bytes, bytes | None]
Dropped = list[tuple[bytes, bytes]]
Version = tuple[int, bytes, bytes]
_NO_GENERATION = 1 << 32
NO_VERSION: Version = (0, b"", b"")
"""Earlier than every version."""


class ValueCodec(Protocol[V]):
    """Codes the values of one table."""

    def encode(self, value: V) -> bytes:
        """Return the bytes to keep."""

    def decode(self, data: bytes) -> V:
        """Return the value that :meth:`encode` wrote."""


class MessagePackValues(Generic[V]):
    """Codes dataclasses as MessagePack; to be made when a module is imported, and used from then on.

    msgspec learns a type when a decoder for it is first made, and shows what it has learned so far to other threads:
    one that restores a shard meanwhile would decode with half a decoder, and crash the process.
    """

    def __init__(self, value_type: type[V]) -> None:
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(value_type).decode


class Scope:
    """The record in hand: the hash that tables are reached under, the shard's time, the record's version."""

    __slots__ = ("hashed", "now_us", "version")

    def __init__(self, now_us: int) -> None:
        self.hashed = b""
        self.now_us = now_us
        self.version = NO_VERSION


class Table(Generic[V]):
    """A value per key, under the hash in scope."""

    def __init__(self, number: int, codec: ValueCodec[V], scope: Scope, store: StateStore, cached: int) -> None:
        self._number = bytes([number])
        self._codec = codec
        self._scope = scope
        self._store = store
        self._cached_max = cached
        self._young: dict[bytes, V | None] = {}
        self._old: dict[bytes, V | None] = {}
        self._changed: dict[bytes, V | None] = {}

    def get(self, key: bytes = b"") -> V | None:
        """Return the value under ``key``, or None."""
        row = self._scope.hashed + self._number + key
        young = self._young
        if row in young:
            return young[row]
        if row in self._old:
            value = self._old[row]
        else:
            data = self._store.get(keys.KEYED + row)
            value = None if data is None else self._codec.decode(data)
        young[row] = value
        return value

    def put(self, value: V, key: bytes = b"") -> None:
        """Keep ``value`` under ``key``."""
        row = self._scope.hashed + self._number + key
        self._young[row] = self._changed[row] = value

    def delete(self, key: bytes = b"") -> None:
        """Forget what is under ``key``."""
        row = self._scope.hashed + self._number + key
        self._young[row] = self._changed[row] = None

    def scan(self, hash_range: HashRange) -> list[tuple[bytes, bytes, V]]:
        """Return (hash, key, value) of every entry whose hash lies in ``hash_range``, in their order."""
        first, end = keys.rows_of(keys.KEYED, hash_range)
        rows = {row[1:]: None for row, _ in self._store.scan(first, end) if row[17:18] == self._number} | {
            row: None for row in self._changed if int.from_bytes(row[:16], "big") in hash_range
        }
        found = []
        hashed_before = self._scope.hashed
        for row in sorted(rows):
            self._scope.hashed = row[:16]
            value = self.get(row[17:])
            if value is not None:
                found.append((row[:16], row[17:], value))
        self._scope.hashed = hashed_before
        return found

    @property
    def cached_rows(self) -> int:
        """How many rows are kept decoded; one that is in both generations counts twice."""
        return len(self._young) + len(self._old)

    def recode(self, codec: ValueCodec[V]) -> None:
        """Go on with another codec: what was read is read again, and what was written is what was written by it."""
        encode = self._codec.encode
        self._codec = codec
        self._changed = {
            row: None if value is None else codec.decode(encode(value)) for row, value in self._changed.items()
        }
        self._young = dict(self._changed)
        self._old = {}

    def collect(self, changes: Changes, _dropped: Dropped) -> None:
        """Move what was written into ``changes``; called by the commit."""
        encode = self._codec.encode
        for row, value in self._changed.items():
            changes[keys.KEYED + row] = None if value is None else encode(value)
        self._changed.clear()
        if len(self._young) > self._cached_max:
            self._old, self._young = self._young, {}


class HorizonTable(Generic[V]):
    """Values that are forgotten as a whole, between one and two horizons after they were written.

    Entries are kept by generation, ``time // horizon``; the current and the one before it are looked into, and a
    generation that has passed is dropped as one range of rows.
    """

    def __init__(self, number: int, codec: ValueCodec[V], horizon_us: int, scope: Scope, store: StateStore) -> None:
        self._prefix = keys.HORIZON + bytes([number])
        self._codec = codec
        self.horizon_us = horizon_us
        self._scope = scope
        self._store = store
        self._changed: dict[bytes, V] = {}
        self._oldest = self._first_generation()
        self._from_us = self._until_us = 0
        self._prefixes: tuple[bytes, ...] = ()

    def get(self, key: bytes) -> V | None:
        """Return what was put under ``key`` within the horizon, or None."""
        row = self._scope.hashed + key
        for generation in self._looked_into():
            found = self._get(generation + row)
            if found is not None:
                return found
        return None

    def put(self, value: V, key: bytes) -> None:
        """Keep ``value`` under ``key`` for at least one horizon."""
        self._changed[self._looked_into()[0] + self._scope.hashed + key] = value

    def recode(self, codec: ValueCodec[V], horizon_us: int) -> None:
        """Go on with another codec.  The horizon stands in the rows, so it is for ever."""
        if horizon_us != self.horizon_us:
            raise InvariantViolation(
                f"horizon table {self._prefix[1]}: its horizon is {self.horizon_us} us and cannot become {horizon_us}; "
                "give the new behaviour a table of another number"
            )
        encode = self._codec.encode
        self._codec = codec
        self._changed = {row: codec.decode(encode(value)) for row, value in self._changed.items()}

    def collect(self, changes: Changes, dropped: Dropped) -> None:
        """Move what was written into ``changes`` and what has passed into ``dropped``; called by the commit.

        What passed before it was ever written is forgotten here, so that the state does not depend on when it was
        committed.
        """
        kept_from = self._scope.now_us // self.horizon_us - 1
        if self._oldest < kept_from:
            first_kept = self._generation_prefix(kept_from)
            dropped.append((self._prefix, first_kept))
            self._changed = {row: value for row, value in self._changed.items() if row >= first_kept}
            self._oldest = kept_from
        encode = self._codec.encode
        for row, value in self._changed.items():
            changes[row] = encode(value)
        self._changed.clear()

    def _looked_into(self) -> tuple[bytes, ...]:
        """Return the rows' beginnings of the generation that is written now, and of the one before if there is one."""
        now_us = self._scope.now_us
        if not self._from_us <= now_us < self._until_us:
            generation = now_us // self.horizon_us
            self._oldest = min(self._oldest, generation)
            self._from_us = generation * self.horizon_us
            self._until_us = self._from_us + self.horizon_us
            before = (self._generation_prefix(generation - 1),) if self._oldest < generation else ()
            self._prefixes = (self._generation_prefix(generation), *before)
        return self._prefixes

    def _get(self, row: bytes) -> V | None:
        if row in self._changed:
            return self._changed[row]
        data = self._store.get(row)
        return None if data is None else self._codec.decode(data)

    def _generation_prefix(self, generation: int) -> bytes:
        return self._prefix + generation.to_bytes(4, "big")

    def _first_generation(self) -> int:
        for row, _ in self._store.scan(self._prefix, keys.after_prefix(self._prefix)):
            return int.from_bytes(row[2:6], "big")
        return _NO_GENERATION


class BroadcastTable(Generic[V]):
    """What every shard knows: small, in memory, the later version of an entry wins wherever it comes from."""

    def __init__(self, number: int, codec: ValueCodec[V], scope: Scope, store: StateStore) -> None:
        self._prefix = keys.BROADCAST + bytes([number])
        self._codec = codec
        self._scope = scope
        self._entries: dict[bytes, tuple[Version, V]] = {}
        self._changed: dict[bytes, None] = {}
        for row, data in store.scan(self._prefix, keys.after_prefix(self._prefix)):
            version, value = decode_versioned(data)
            self._entries[row[2:]] = (version, codec.decode(value))

    def get(self, key: bytes) -> V | None:
        """Return the latest value under ``key``, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def items(self) -> Iterator[tuple[bytes, V]]:
        """Return (key, value) in the keys' order."""
        for key in sorted(self._entries):
            yield key, self._entries[key][1]

    def put(self, value: V, key: bytes) -> bool:
        """Keep ``value`` if the record in hand is later than what is there; say whether it is."""
        version = self._scope.version
        entry = self._entries.get(key)
        if entry is not None and entry[0] >= version:
            return False
        self._entries[key] = (version, value)
        self._changed[key] = None
        return True

    def recode(self, codec: ValueCodec[V]) -> None:
        """Go on with another codec."""
        encode = self._codec.encode
        self._codec = codec
        self._entries = {key: (version, codec.decode(encode(value))) for key, (version, value) in self._entries.items()}

    def collect(self, changes: Changes, _dropped: Dropped) -> None:
        """Move what was written into ``changes``; called by the commit."""
        for key in self._changed:
            version, value = self._entries[key]
            changes[self._prefix + key] = encode_versioned(version, self._codec.encode(value))
        self._changed.clear()


_decode_versioned = msgspec.msgpack.Decoder(tuple[Version, bytes]).decode


def encode_versioned(version: Version, value: bytes) -> bytes:
    """Return a broadcast table's row."""
    return msgspec.msgpack.encode((version, value))


def decode_versioned(data: bytes) -> tuple[Version, bytes]:
    """Return version and value of a broadcast table's row."""
    return _decode_versioned(data)


class Tables:
    """Gives each agent its tables.  A table is known by its number, which is for ever: it stands in the rows.

    Two versions of a behaviour that ask for the same number get the same table, and each its own codec: what a shard
    holds must not depend on whether it was restarted between the two.
    """

    def __init__(self, scope: Scope, store: StateStore, cached_per_table: int) -> None:
        self._scope = scope
        self._store = store
        self._cached = cached_per_table
        self._tables: dict[int, Table[object] | HorizonTable[object] | BroadcastTable[object]] = {}

    def keyed(self, number: int, codec: ValueCodec[V]) -> Table[V]:
        """Return table ``number``: a value per key under a partition key's hash."""
        table = self._tables.get(number)
        if table is None:
            created = Table(number, codec, self._scope, self._store, self._cached)
            self._tables[number] = cast("Table[object]", created)
            return created
        known = cast("Table[V]", _of_kind(table, Table))
        known.recode(codec)
        return known

    def horizon(self, number: int, codec: ValueCodec[V], horizon_us: int) -> HorizonTable[V]:
        """Return table ``number``, which forgets between one and two horizons."""
        table = self._tables.get(number)
        if table is None:
            created = HorizonTable(number, codec, horizon_us, self._scope, self._store)
            self._tables[number] = cast("HorizonTable[object]", created)
            return created
        known = cast("HorizonTable[V]", _of_kind(table, HorizonTable))
        known.recode(codec, horizon_us)
        return known

    def broadcast(self, number: int, codec: ValueCodec[V]) -> BroadcastTable[V]:
        """Return table ``number``: what every shard knows."""
        table = self._tables.get(number)
        if table is None:
            created = BroadcastTable(number, codec, self._scope, self._store)
            self._tables[number] = cast("BroadcastTable[object]", created)
            return created
        known = cast("BroadcastTable[V]", _of_kind(table, BroadcastTable))
        known.recode(codec)
        return known

    @property
    def cached_rows(self) -> int:
        """How many rows of keyed tables are kept decoded."""
        return sum(table.cached_rows for table in self._tables.values() if isinstance(table, Table))

    def collect(self, changes: Changes, dropped: Dropped) -> None:
        """Gather what every table has to write."""
        for table in self._tables.values():
            table.collect(changes, dropped)


def _of_kind(table: object, kind: type) -> object:
    if not isinstance(table, kind):
        raise InvariantViolation(f"a table's number is taken by a {type(table).__name__}, not a {kind.__name__}")
    return table
