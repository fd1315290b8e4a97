"""A stage that is easy to look through: it counts what is said under each key, and says each count downstream.

    said "a" three times under key k   ->   out: "k 1", "k 2", "k 3"

Some words are special, so that a test can tell a worker what to stumble over.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import Poison
from pipeline.kernel.agent import Behaviour, Context, Stage
from pipeline.kernel.envelope import FROM_EDGE, FROM_SHARD, Envelope, decode, edge_lineage, encode
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.tables import MessagePackValues, Tables
from pipeline.ports import Entry, Log

if TYPE_CHECKING:
    from pipeline.kernel.agent import Agent, Handlers

SOURCE, DESTINATION, PARKED = "said", "counted", "parked"
STREAMS = (SOURCE, DESTINATION, PARKED)
SAID_KIND = 256

FAIL = "fail"
"""The agent raises, unless it was repaired."""
HANG = "hang"
"""The agent does not come back, unless it was repaired."""
NONSENSE = "nonsense"
"""Poison."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something that was said under a key."""

    key: str
    words: str


class SaidCodec:
    """Codes what was said as text."""

    def encode(self, event: object) -> tuple[int, int, bytes]:
        assert isinstance(event, Said)
        return SAID_KIND, 1, f"{event.key}\n{event.words}".encode()

    def decode(self, kind: int, version: int, body: bytes) -> Said:
        if kind != SAID_KIND:
            raise Poison(f"unknown kind {kind}")
        key, words = body.decode().split("\n")
        return Said(key, words)


class Counter:
    """Counts per key."""

    def __init__(self, tables: Tables, *, repaired: bool) -> None:
        self._counts = tables.keyed(1, MessagePackValues(int))
        self._repaired = repaired

    def handlers(self) -> Handlers:
        return {Said: self.count}

    def count(self, said: Said, ctx: Context) -> None:
        if said.words == FAIL and not self._repaired:
            raise ValueError("cannot count this")
        if said.words == NONSENSE:
            raise Poison("nonsense")
        if said.words == HANG and not self._repaired:
            print("hanging", file=sys.stderr, flush=True)  # noqa: T201 - to whoever waits for it
            time.sleep(3600)
        count = (self._counts.get() or 0) + 1
        self._counts.put(count)
        ctx.emit(DESTINATION, said.key, Said(said.key, str(count)))


def toy_stage(*, repaired: bool = False) -> Stage:
    def agents(tables: Tables) -> tuple[Agent, ...]:
        return (Counter(tables, repaired=repaired),)

    return Stage("count", SOURCE, (DESTINATION,), PARKED, SaidCodec(), {1: Behaviour(agents, frozenset({Said}))})


async def create_streams(log: Log, shards: int) -> None:
    for stream in STREAMS:
        await log.create_stream(stream, shards)


def said(key: str, words: str, at_us: int) -> Entry:
    """Return an entry of one user record, as an edge would put it."""
    hashed = hash_key(key)
    body = SaidCodec().encode(Said(key, words))[2]
    envelope = Envelope(FROM_EDGE, SAID_KIND, 1, at_us, hashed, hashed, edge_lineage(1, 1), b"test", body)
    return Entry(hashed, [encode(envelope)])


async def say(log: Log, at_us: int, *what: tuple[str, str]) -> None:
    """Say words under keys."""
    await log.put_records(SOURCE, [said(key, words, at_us) for key, words in what])


@dataclass(frozen=True, slots=True)
class Downstream:
    """What a reader of the destination finds."""

    counts: dict[str, list[int]]
    """Per key, in order, each lineage once."""
    repeats: int
    """Records whose lineage was there before."""


async def read_downstream(log: Log) -> Downstream:
    """Read the destination from its beginning, shard by shard, parents first."""
    counts: dict[str, list[int]] = {}
    seen: dict[tuple[bytes, bytes, bytes], None] = {}
    repeats = 0
    for envelope in await read_all(log, DESTINATION):
        if envelope.kind != SAID_KIND:
            continue
        identity = envelope.source, envelope.lineage, envelope.first
        if identity in seen:
            repeats += 1
            continue
        seen[identity] = None
        counted = SaidCodec().decode(envelope.kind, envelope.version, envelope.body)
        counts.setdefault(counted.key, []).append(int(counted.words))
    return Downstream(counts, repeats)


async def read_all(log: Log, stream: str) -> Sequence[Envelope]:
    """Return every record of a stream, shard by shard, parents first."""
    found = []
    for shard in await log.shards(stream):
        after = await log.trim_horizon(stream, shard.shard_id)
        while (part := await log.read(stream, shard.shard_id, after, 1000)).records:
            after = part.records[-1].sequence
            found += [decode(user_record) for record in part.records for user_record in record.user_records]
    return found


async def from_shards(log: Log, stream: str) -> Sequence[Envelope]:
    """Return the records of a stream that a stage put there."""
    return [envelope for envelope in await read_all(log, stream) if envelope.origin == FROM_SHARD]
