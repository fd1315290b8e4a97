"""How an edge tails a stream: every shard, parents before children, from where its own store says.

    batch = await tail.read()
    with database.transaction() as connection:
        ... the batch's effects ...
        tail.store()

An edge has no watermarks.  It takes in what a crash or a lost acknowledgement repeats, and must be idempotent: by the
lineage of a record, which is the same for ever, or by a business key.  Positions are committed together with the
effects, so nothing is skipped and nothing is taken in twice because of the edge itself.

A record that landed on a shard that does not own its hash, behind a split that its producer had not seen, is left
out: its producer puts it on the right one too.  New shards are looked for when a shard has ended, since they come
into being in no other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from pipeline.errors import Poison
from pipeline.kernel import envelope as envelopes
from pipeline.kernel import system_events
from pipeline.kernel.position import Position
from schemas import codec
from schemas.errors import UndecodableEventError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents.edge.database import EdgeDatabase
    from pipeline.kernel.envelope import Envelope
    from pipeline.ports import Log, Record, ShardDescription

SHARD_BATCH = 250
"""User records that one read takes from one shard; what clients submit may be a megabyte each."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tailed (
    stream TEXT NOT NULL, shard_id TEXT NOT NULL, sequence BLOB NOT NULL, ended INTEGER NOT NULL,
    PRIMARY KEY (stream, shard_id)
) WITHOUT ROWID;
"""


class Place(NamedTuple):
    """How far a shard was read."""

    after: int
    """The sequence number behind which reading goes on."""
    ended: bool
    """The shard is closed, and was read to its end."""

    @property
    def packed(self) -> bytes:
        """The sequence number as 16 bytes that sort."""
        return self.after.to_bytes(16, "big")


class Places(Protocol):
    """Where an edge keeps how far it has read, beside what it has made of that."""

    def require_fact(self, name: str, value: str) -> None:
        """Raise ``EdgeError`` if something else than ``value`` was said of ``name`` before."""

    def places(self, stream: str) -> dict[str, Place]:
        """Return the place of every shard of ``stream`` that was ever stored."""

    def store_places(self, stream: str, moved: Mapping[str, Place]) -> None:
        """Keep the places of some shards, in the transaction in hand where there are transactions."""


class SqlitePlaces:
    """Places in the database of an edge."""

    def __init__(self, database: EdgeDatabase) -> None:
        self._database = database
        database.connection.executescript(_SCHEMA)
        self.require_fact = database.require_fact

    def places(self, stream: str) -> dict[str, Place]:
        """Return what the table holds of ``stream``."""
        rows = self._database.connection.execute(
            "SELECT shard_id, sequence, ended FROM tailed WHERE stream = ?", (stream,)
        )
        return {shard_id: Place(int.from_bytes(packed, "big"), bool(ended)) for shard_id, packed, ended in rows}

    def store_places(self, stream: str, moved: Mapping[str, Place]) -> None:
        """Write rows; call it in the transaction that holds the effects."""
        rows = [(stream, shard_id, place.packed, place.ended) for shard_id, place in moved.items()]
        self._database.connection.executemany("INSERT OR REPLACE INTO tailed VALUES (?, ?, ?, ?)", rows)


class Arrived(NamedTuple):
    """One user record as it was found."""

    stream: str
    shard_id: str
    position: Position
    arrival_us: int
    record: bytes
    envelope: Envelope | None
    """None if the record is no envelope."""


def event_of(envelope: Envelope) -> object:
    """Return the event in an envelope, or raise ``Poison``."""
    if envelope.kind < system_events.FIRST_APPLICATION_KIND:
        return system_events.decode(envelope.kind, envelope.version, envelope.body)
    try:
        return codec.decode(envelope.kind, envelope.version, envelope.body)
    except UndecodableEventError as failure:
        raise Poison(str(failure)) from None


class _Cursor:
    """How far one shard was read."""

    __slots__ = ("after", "description", "ended", "first", "last")

    def __init__(self, description: ShardDescription, after: int, *, ended: bool) -> None:
        self.description = description
        self.first = description.hash_range.first_bytes
        self.last = description.hash_range.last_bytes
        self.after = after
        self.ended = ended


class StreamTail:
    """Reads one stream for one edge."""

    def __init__(self, log: Log, stream: str, places: Places, shard_batch: int = SHARD_BATCH) -> None:
        """Take about ``shard_batch`` user records from a shard in one read."""
        self._log = log
        self._stream = stream
        self._shard_batch = shard_batch
        self._cursors: dict[str, _Cursor] = {}
        self._listed = False
        self._moved: set[str] = set()
        self._places = places
        self.behind_records = 0
        """User records that were in the log behind the last batch."""

    async def read(self) -> list[Arrived]:
        """Return what is new on every shard that is due to be read; nothing at the tip.

        What one call gave must be stored before the next.
        """
        if not self._listed:
            await self._list()
        arrived: list[Arrived] = []
        self.behind_records = 0
        for cursor in self._readable():
            given = await self._log.read(self._stream, cursor.description.shard_id, cursor.after, self._shard_batch)
            self.behind_records += given.behind_records
            if given.records:
                self._take(cursor, given.records, arrived)
                cursor.after = given.records[-1].sequence
                self._moved.add(cursor.description.shard_id)
            if given.ended:
                cursor.ended = True
                self._moved.add(cursor.description.shard_id)
                self._listed = False
        return arrived

    @property
    def moved(self) -> bool:
        """Say whether there is a position to store, be there records for the edge or not."""
        return bool(self._moved)

    def store(self) -> None:
        """Keep how far the last ``read`` came; call it in the transaction that holds the effects, or behind them."""
        cursors = ((shard_id, self._cursors[shard_id]) for shard_id in sorted(self._moved))
        self._places.store_places(
            self._stream, {shard_id: Place(cursor.after, cursor.ended) for shard_id, cursor in cursors}
        )
        self._moved.clear()

    def _readable(self) -> Sequence[_Cursor]:
        """Return the shards to read now: open ends whose parents, as far as they are kept, were read to their end."""
        cursors = self._cursors
        return [
            cursor
            for cursor in cursors.values()
            if not cursor.ended
            and all(cursors[parent].ended for parent in cursor.description.parents if parent in cursors)
        ]

    def _take(self, cursor: _Cursor, records: Sequence[Record], arrived: list[Arrived]) -> None:
        first, last, shard_id = cursor.first, cursor.last, cursor.description.shard_id
        for sequence, arrival_us, user_records in records:
            for sub_sequence, record in enumerate(user_records):
                envelope: Envelope | None
                try:
                    envelope = envelopes.decode(record)
                except Poison:
                    envelope = None
                else:
                    if envelope.last < first or last < envelope.first:
                        continue
                position = Position(sequence, sub_sequence)
                arrived.append(Arrived(self._stream, shard_id, position, arrival_us, record, envelope))

    async def _list(self) -> None:
        """Look which shards there are; one that this store has not met begins at its first record."""
        self._places.require_fact(f"log of {self._stream}", await self._log.incarnation_of(self._stream))
        stored = self._places.places(self._stream)
        for description in await self._log.shards(self._stream):
            shard_id = description.shard_id
            if shard_id in self._cursors:
                continue
            if shard_id in stored:
                after, ended = stored[shard_id]
            elif stored:  # born later: nothing of it may be missing
                after, ended = 0, False
            else:
                after, ended = await self._log.trim_horizon(self._stream, shard_id), False
            self._cursors[shard_id] = _Cursor(description, after, ended=ended)
            self._moved.add(shard_id)
        ended_now = [cursor for cursor in self._cursors.values() if cursor.ended]
        parents = {parent for cursor in self._cursors.values() for parent in cursor.description.parents}
        self._listed = all(cursor.description.shard_id in parents for cursor in ended_now)
