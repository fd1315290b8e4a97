"""How a record stands in a segment of the embedded log: one frame of bytes, whose place is its sequence number.

A shard is one long run of bytes, cut into segment files.  A record's sequence number is the offset in that run just
*behind* its frame, so "the records after sequence number n" begin at byte n: reading is a seek and needs no index.
``docs/formats.md`` has the byte table.

Each frame carries a CRC-32C over all of itself, its own sequence number (so that bytes that ended up elsewhere do not
pass for a record) and the number of user records before it (so that a reader knows how far it is behind without
reading what lies between).  The lengths of all user records come first, so that they are unpacked in one call.

The limits hold for every implementation of the log, and the one in memory gives the same sequence numbers.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from struct import Struct, pack, unpack_from
from typing import TYPE_CHECKING, NamedTuple

import google_crc32c

from pipeline.errors import LogError
from pipeline.ports import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD_BYTES_MAX = 1 << 20
"""User data in one record, as Kinesis has it."""
USER_RECORDS_MAX = 1 << 16
"""User records in one record."""

_CRC = Struct("<I")
_FIELDS = Struct("<IQQQI")  # length, sequence, arrival_us, user records before, user records
_HEAD = Struct("<IIQQQI")  # both
_LENGTH_BYTES = 4
_CHECKED_BYTES = 32 * 1024
HEAD_BYTES = _HEAD.size
FRAME_BYTES_MAX = HEAD_BYTES + USER_RECORDS_MAX * _LENGTH_BYTES + RECORD_BYTES_MAX


class DamagedFrameError(Exception):
    """The bytes at ``offset`` of the shard are not a frame; whoever knows the file says which one it is."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


class FrameHead(NamedTuple):
    """What stands before a frame's user records."""

    length: int
    """Bytes of the whole frame."""
    sequence: int
    arrival_us: int
    before: int
    """User records of the shard before this frame."""
    user_records: int
    """User records in this frame."""


class Parsed(NamedTuple):
    """The whole frames at the beginning of a piece of a shard."""

    records: list[Record]
    user_records: int
    """How many ``records`` hold."""
    through: int
    """User records of the shard up to and with the last of ``records``; 0 if there is none."""


def check_record(user_records: Sequence[bytes]) -> None:
    """Raise ``LogError`` unless ``user_records`` may stand in one record."""
    if not user_records:
        raise LogError("a record holds at least one user record, and this entry has none")
    size = sum(map(len, user_records))
    if size > RECORD_BYTES_MAX:
        raise LogError(f"a record of {size} bytes of user data is refused: the limit is {RECORD_BYTES_MAX} bytes")
    if len(user_records) > USER_RECORDS_MAX:
        raise LogError(f"a record of {len(user_records)} user records is refused: the limit is {USER_RECORDS_MAX}")


def frame_length(user_records: Sequence[bytes]) -> int:
    """Return how many bytes the frame of ``user_records`` has."""
    return HEAD_BYTES + _LENGTH_BYTES * len(user_records) + sum(map(len, user_records))


def encode_frame(offset: int, arrival_us: int, before: int, user_records: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the frame that begins at ``offset`` of the shard, as two pieces: its checksum, and all the rest."""
    lengths = list(map(len, user_records))
    count = len(lengths)
    length = HEAD_BYTES + _LENGTH_BYTES * count + sum(lengths)
    fields = _FIELDS.pack(length, offset + length, arrival_us, before, count)
    rest = b"".join((fields, pack(f"<{count}I", *lengths), *user_records))
    return _CRC.pack(google_crc32c.value(rest)), rest


def decode_head(data: bytes, offset: int) -> FrameHead:
    """Return the head of the frame that ``data`` begins with, which is byte ``offset`` of the shard.

    The checksum is not looked at, so the head may be wrong where it is not absurd; ``data`` holds the whole head.
    """
    head = FrameHead(*_FIELDS.unpack_from(data, _CRC.size))
    _check_head(head.length, head.sequence, offset)
    return head


def parse_frames(data: bytes, offset: int, limit: int) -> Parsed:
    """Return the whole frames that ``data`` begins with, until they hold ``limit`` user records or more.

    ``data`` is what the shard has from byte ``offset`` on.  Raises ``DamagedFrameError``.
    """
    records: list[Record] = []
    at = taken = through = 0
    size = len(data)
    while taken < limit and size - at >= HEAD_BYTES:
        checksum, length, sequence, arrival_us, before, count = _HEAD.unpack_from(data, at)
        _check_head(length, sequence, offset + at)
        end = at + length
        if end > size:
            break
        if _checksum(data, at + _CRC.size, end) != checksum:
            raise DamagedFrameError(offset + at, "the checksum does not fit")
        lengths = unpack_from(f"<{count}I", data, at + HEAD_BYTES)
        edges = accumulate(lengths, initial=at + HEAD_BYTES + _LENGTH_BYTES * count)
        records.append(Record(sequence, arrival_us, [data[first:last] for first, last in pairwise(edges)]))
        taken += count
        through = before + count
        at = end
    return Parsed(records, taken, through)


def _check_head(length: int, sequence: int, offset: int) -> None:
    if not HEAD_BYTES < length <= FRAME_BYTES_MAX:
        raise DamagedFrameError(offset, f"a frame cannot have {length} bytes")
    if sequence != offset + length:
        raise DamagedFrameError(offset, f"the frame there says that it ends at {sequence}")


def _checksum(data: bytes, first: int, end: int) -> int:
    """Return the CRC-32C of a part of ``data``, copied piece by piece.

    One large copy costs more than the checksum: the allocator gives its pages back to the system and gets new ones.
    """
    checksum = 0
    for piece in range(first, end, _CHECKED_BYTES):
        checksum = google_crc32c.extend(checksum, data[piece : min(piece + _CHECKED_BYTES, end)])
    return checksum
