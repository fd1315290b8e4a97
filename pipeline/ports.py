"""The engine's only ways to the outside: a log, a state store, a snapshot store and a clock.

Each port has a real implementation in memory beside the durable ones, and one contract suite that runs on all of
them.  What is asynchronous here is awaited by the shard runtime and by nothing below it, so that a simulator can
decide at each await what happens next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.kernel.agent import Output
    from pipeline.kernel.hashrange import HashRange


class Record(NamedTuple):
    """One record of a shard: what one PutRecords entry wrote, holding one or more user records in order."""

    sequence: int
    """Increases along the shard, with gaps, as Kinesis's do; above 0 and below 2**128."""
    arrival_us: int
    """When the log took it, microseconds since the epoch, UTC."""
    user_records: Sequence[bytes]


class Slice(NamedTuple):
    """What one read of a shard gave."""

    records: Sequence[Record]
    ended: bool
    """True when the shard is closed and nothing comes behind ``records``."""
    behind_records: int
    """User records in the log behind the last one given; at least 1 if there are any, where the log cannot count."""
    behind_us: int
    """Arrival time of the newest record in the shard less that of the last one given; 0 at the tip."""


class Entry(NamedTuple):
    """One record to put: it goes to the shard that owns ``explicit_hash``, whole."""

    explicit_hash: bytes
    """16 bytes, big-endian: Kinesis's ExplicitHashKey."""
    user_records: Sequence[bytes]


class Landed(NamedTuple):
    """Where an entry was stored, durably."""

    shard_id: str
    sequence: int


class Refused(NamedTuple):
    """An entry that was not stored, or of which nobody knows; it is put again with its old lineages."""

    reason: str


@dataclass(frozen=True, slots=True)
class ShardDescription:
    """A shard as ListShards tells it."""

    shard_id: str
    hash_range: HashRange
    parents: tuple[str, ...]
    """None for a shard the stream was created with, one after a split, two after a merge."""
    closed: bool
    """True once it was split or merged: it takes no more records."""


class Log(Protocol):
    """Streams of ordered shards with Kinesis semantics.

    A position in a shard is "everything up to this sequence number was read".  0 is before the first record ever.
    """

    async def incarnation_of(self, stream: str) -> str:
        """Return a name that no other stream called ``stream`` has had: sequence numbers mean something only with it.

        It has no slash in it.  A stream that is deleted and created anew has another one.
        """

    async def retention_us(self, stream: str) -> int:
        """Return how long ``stream`` keeps a record: nothing that arrived earlier can be read again."""

    async def create_stream(self, stream: str, shards: int) -> None:
        """Create ``stream`` with shards of equal hash ranges; do nothing if it is there with any shards."""

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards of ``stream`` that are still kept, parents before their children."""

    async def split(self, stream: str, shard_id: str, at: int) -> None:
        """Close a shard and open two: the hashes below ``at``, and those from ``at`` on."""

    async def merge(self, stream: str, shard_id: str, adjacent_shard_id: str) -> None:
        """Close two adjacent shards and open one with the range of both."""

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        """Store each entry in the open shard that owns its hash, and return where, in the order of ``entries``.

        What is ``Landed`` is durable.  Entries of different shards may be stored in any order, and those of one shard
        where some are ``Refused``.
        """

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        """Return the records behind sequence number ``after``, up to about ``limit`` user records, whole records only.

        Returns at once, possibly empty.  Raises ``TrimmedRangeError`` if records behind ``after`` were trimmed, and
        ``BeyondEndError`` if the shard's durable end lies before ``after``.
        """

    async def trim_horizon(self, stream: str, shard_id: str) -> int:
        """Return the sequence number ``after`` which reading starts at the oldest record that is kept."""

    async def latest(self, stream: str, shard_id: str) -> int:
        """Return the sequence number ``after`` which only records to come are read."""

    async def at_time(self, stream: str, shard_id: str, arrival_us: int) -> int:
        """Return the sequence number ``after`` which the first record from ``arrival_us`` on is read."""


class OutputPublisher(Protocol):
    """Puts the outputs of one source shard where they belong; ``pipeline.publisher`` has the one that does."""

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Return once every output is stored, durably, in each shard it is for."""


class StateStore(Protocol):
    """Ordered keys and values of one shard's state; one write batch is atomic.

    After a crash a store reopens at *some* committed batch, not necessarily the last one.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return the value under ``key``, or None."""

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the pairs with ``first <= key < end``, in the order of the keys' bytes."""

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Apply one atomic batch: first the ``dropped`` ranges (first, end) are deleted, then ``changes`` applied.

        A value of None deletes its key.
        """

    def flush(self) -> None:
        """Make everything written so far durable.  Called from another thread than ``write``; blocks."""

    def checkpoint(self, folder: Path) -> None:
        """Write a consistent copy, cheap after a ``flush``, into ``folder``, which must not exist."""

    def close(self) -> None:
        """Release files; a closed store must not be used."""


class Stores(Protocol):
    """Makes the state stores of a worker's shards: one folder each, or memory."""

    def open(self, stage: str, shard_id: str) -> StateStore | None:
        """Return the store this worker already has for the shard, or None."""

    def create(self, stage: str, shard_id: str) -> StateStore:
        """Return a new, empty store; what was there is removed."""

    def adopt(self, stage: str, shard_id: str, folder: Path) -> StateStore:
        """Return a store with the content of ``folder``, which a ``checkpoint`` wrote; the folder is taken over."""

    def read(self, folder: Path) -> StateStore:
        """Open a checkpoint in place, to read from: a child takes its parents' state out of it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot is: a shard's state at a position, as files with digests."""

    stage: str
    source: str
    """The shard's packed ``Source``: a snapshot of another log's shard of the same name must not be taken."""
    shard_id: str
    position: bytes
    """Packed: manifests of a shard sort by it."""
    ended: bool
    """True for the END snapshot: the shard is closed and was read to its end."""
    chain_head: bytes
    behaviour: int
    state_digest: bytes
    """SHA-256 over all keys and values in order: equal states have equal digests, whatever their files."""
    files: Mapping[str, str]
    """File name in the checkpoint -> SHA-256 of its content, in hex."""


class SnapshotStore(Protocol):
    """Keeps snapshots where another machine can find them."""

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        """Store the files of ``folder`` that are not stored yet, then the manifest, created conditionally.

        If a manifest for that stage, shard and position exists, it is kept: equal state digests are a lost race,
        different ones raise ``InvariantViolation``.
        """

    async def manifests(self, stage: str, shard_id: str) -> Sequence[Manifest]:
        """Return the shard's snapshots, the newest first.  A damaged manifest is logged as an error and left out."""

    async def fetch(self, manifest: Manifest, folder: Path) -> None:
        """Copy the files into ``folder``, which must not exist; ``SnapshotError`` if one is missing or damaged."""

    async def set_aside(self, manifest: Manifest) -> bool:
        """Hide a snapshot of which a file is missing or damaged, so that it can be made again; False if it is whole."""

    async def retire(self, stage: str, shard_id: str) -> None:
        """Remove the shard's old snapshots, never an END snapshot, and the files that no snapshot names any more."""


class Clock(Protocol):
    """Time at the edges.  Nothing in the kernel has one."""

    def now_us(self) -> int:
        """Return microseconds since the epoch, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
