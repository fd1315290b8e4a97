"""What KCL's MultiLangDaemon says to the process that it runs for a shard, and what it is answered.

One JSON object a line, on stdin and on stdout.  The daemon speaks, and waits for a status before it speaks again:

    initialize         the shard
    processRecords     user records, taken out of their aggregates
    shutdownRequested  the lease will be given up in order: the last chance for a checkpoint
    leaseLost          somebody else has the shard now: no checkpoint any more
    shardEnded         everything was delivered: a checkpoint here lets the children begin

Between a message and its status the process may ask for a checkpoint, and hears of it as ``checkpoint``.

KCL gives every user record the sequence number of its aggregate and its place in it.  ``whole_records`` puts them back
into the records, numbers and positions that ``KinesisLog`` gives for the same bytes, so that a shard has the same chain
of digests whichever way it was read.  Only behind a checkpoint *inside* a record, which this project never makes, does
a session begin with the rest of one; that is told apart, because half a record must not be taken for a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.errors import LogError
from pipeline.ports import Record
from pipeline.stream_logs.kinesis_numbers import anchor, record_number

if TYPE_CHECKING:
    from collections.abc import Sequence

_US_PER_MS = 1_000
_LINE_SHOWN_MAX = 200


class DeliveredRecord(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """One user record."""

    data: bytes
    sequence_number: str
    sub_sequence_number: int
    approximate_arrival_timestamp: float
    """Milliseconds since the epoch, UTC."""


class _Message(msgspec.Struct, tag_field="action", rename="camel"):
    @property
    def action(self) -> str:
        """The message's name on the line."""
        return str(self.__struct_config__.tag)


class Initialize(_Message, tag="initialize"):
    """Begin with a shard."""

    shard_id: str
    sequence_number: str | None = None
    """The checkpoint, as KCL keeps it.  Only told in logs: the position in the state decides."""


class ProcessRecords(_Message, tag="processRecords"):
    """Take records in."""

    records: list[DeliveredRecord]
    millis_behind_latest: int | None = None


class ShutdownRequested(_Message, tag="shutdownRequested"):
    """Get ready to lose the shard."""


class LeaseLost(_Message, tag="leaseLost"):
    """The shard is somebody else's."""


class ShardEnded(_Message, tag="shardEnded"):
    """The shard was read to its end."""


class CheckpointAnswer(_Message, tag="checkpoint"):
    """What became of a checkpoint."""

    error: str | None = None


Message = Initialize | ProcessRecords | ShutdownRequested | LeaseLost | ShardEnded | CheckpointAnswer

_decoder = msgspec.json.Decoder(Message)


def decode(line: bytes) -> Message:
    """Return the message on a line; ``LogError`` if it is none that this build knows."""
    try:
        message: Message = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise LogError(f"the KCL daemon said what this build does not understand: {error}; {_shown(line)}") from error
    return message


def status(action: str) -> bytes:
    """Return the line that says that the message ``action`` was dealt with."""
    return _line({"action": "status", "responseFor": action})


def checkpoint(sequence_number: int, sub_sequence_number: int) -> bytes:
    """Return the line that asks for a checkpoint just behind a user record."""
    return _line(
        {
            "action": "checkpoint",
            "sequenceNumber": str(sequence_number),
            "subSequenceNumber": sub_sequence_number,
        }
    )


def checkpoint_of_the_end() -> bytes:
    """Return the line that asks for a checkpoint behind everything that was delivered: at ``shardEnded``, the end."""
    return _line({"action": "checkpoint", "sequenceNumber": None, "subSequenceNumber": None})


class Delivery(NamedTuple):
    """The records of one message."""

    records: Sequence[Record]
    anchor: int
    """What Kinesis's numbers of them have in common; see ``kinesis_numbers``."""
    first_is_whole: bool
    """False if the first record's beginning is not there."""


def whole_records(delivered: Sequence[DeliveredRecord]) -> Delivery:
    """Return the records that ``delivered``, which is not empty, was taken out of; ``LogError`` if one has a hole."""
    records: list[Record] = []
    number = delivered[0].sequence_number
    begins_with = place = delivered[0].sub_sequence_number
    arrived = delivered[0].approximate_arrival_timestamp
    user_records: list[bytes] = []
    for each in delivered:
        if each.sequence_number != number:
            records.append(_record(number, arrived, user_records))
            number, arrived, place, user_records = each.sequence_number, each.approximate_arrival_timestamp, 0, []
        if each.sub_sequence_number != place:
            raise LogError(
                f"KCL delivered user record {each.sub_sequence_number} of record {number} where {place} was due; "
                "nothing behind it is taken in"
            )
        place += 1
        user_records.append(each.data)
    records.append(_record(number, arrived, user_records))
    return Delivery(records, anchor(int(number)), begins_with == 0)


def _record(number: str, arrived_ms: float, user_records: list[bytes]) -> Record:
    return Record(record_number(int(number)), round(arrived_ms * _US_PER_MS), user_records)


def _line(content: dict[str, object]) -> bytes:
    """Return a line with an empty one before it, which whatever was printed there by accident ends at."""
    return b"\n" + msgspec.json.encode(content) + b"\n"


def _shown(line: bytes) -> str:
    """Return the beginning of a line: what follows may be a payment."""
    return f"the line begins {line[:_LINE_SHOWN_MAX].split(b'data')[0]!r}"
