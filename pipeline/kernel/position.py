"""Where a record is, and where an output comes from.

A *position* is (sequence number, sub-sequence number) inside one shard: the record of the log, and the user record
inside it.  A *lineage* is the position of an input and the index of one of its outputs.  Lineages of one source shard
are totally ordered, and the same input always produces the same outputs under the same lineages: a lineage is the
identity of an output for ever, and a reader that keeps the last one it took in can tell a repeat from news.

Both travel packed, big-endian, so that comparing the bytes compares the values.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

POSITION_BYTES = 20
LINEAGE_BYTES = 24

_SUB_SEQUENCE = Struct(">I")
LAST_SUB_SEQUENCE = (1 << 32) - 1

NO_LINEAGE = b""  # sorts before every lineage
SOURCE_ENDED = b"\xff" * LINEAGE_BYTES  # sorts behind every lineage: the tombstone of a finished source


class Position(NamedTuple):
    """A user record's place in its shard; ``sequence`` has up to 128 bits, ``sub_sequence`` 32."""

    sequence: int
    sub_sequence: int

    def pack(self) -> bytes:
        """Return the position as 20 bytes that sort as positions do."""
        return self.sequence.to_bytes(16, "big") + _SUB_SEQUENCE.pack(self.sub_sequence)

    @classmethod
    def unpack(cls, packed: bytes) -> Position:
        """Return the position that :meth:`pack` wrote."""
        return cls(int.from_bytes(packed[:16], "big"), _SUB_SEQUENCE.unpack_from(packed, 16)[0])

    def __str__(self) -> str:
        return f"{self.sequence}.{self.sub_sequence}"


START = Position(0, LAST_SUB_SEQUENCE)
"""Before the first record of a shard: sequence numbers begin above 0."""


def pack_lineage(position: bytes, index: int) -> bytes:
    """Return the lineage of output ``index`` of the input at the packed ``position``, as 24 bytes that sort."""
    return position + _SUB_SEQUENCE.pack(index)


class Source(NamedTuple):
    """A shard as the origin of records: the stream's incarnation, its name and the shard's id."""

    incarnation: str
    stream: str
    shard_id: str

    def pack(self) -> bytes:
        """Return the name that stands in envelopes and under which watermarks are kept."""
        if any("/" in part for part in self):
            raise ValueError(f"no part of a source's name has a slash in it: {self}")
        return "/".join(self).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Source:
        """Return the source that :meth:`pack` wrote."""
        incarnation, stream, shard_id = packed.decode().split("/")
        return cls(incarnation, stream, shard_id)
