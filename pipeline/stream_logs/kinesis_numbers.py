"""Kinesis's sequence numbers as the engine's, which have 128 bits, and what a position says about reading on.

Kinesis's have 186 bits, 56 decimal digits.  They look like this, and have since 2014, though nobody promises it:

    2  time the shard was created, its number     42 bits    the same for all records of a shard: the *anchor*
    a counter, the time, the shard's number      144 bits    the rest; the counter stands first, so its top bits are 0

The rest alone orders the records of a shard and fits into 127 bits until the counter reaches 2**47, which a full shard
takes four thousand years for.  Whatever looks otherwise stops whoever meets it: nothing is lost then, but Kinesis's
numbers are no longer what they were, and this module has to learn it.

    0              before the first record ever; none may be missing
    1              before whatever is the oldest record kept
    2 rest - 1     just before that record; made by asking for a time
    2 rest         that record, and as a position just behind it

So a record's number is even, increases along the shard, and is the same for whoever reads it, through boto3 or KCL.
Between shards the numbers compare to nothing: a child's begin anew, and not behind those of its parents.
"""

from __future__ import annotations

from pipeline.errors import LogError

FROM_THE_FIRST = 0
FROM_WHAT_IS_KEPT = 1

_BITS = 186
_REST_BITS = 144
_REST_END = 1 << 127
_REST_FIRST = 2


def record_number(kinesis_number: int) -> int:
    """Return the engine's number of the record that Kinesis numbers so."""
    rest = kinesis_number & ((1 << _REST_BITS) - 1)
    if kinesis_number.bit_length() != _BITS or not _REST_FIRST <= rest < _REST_END:
        raise LogError(
            f"Kinesis gave a record the sequence number {kinesis_number}, which is not made as this build expects; "
            "nothing is lost, but this build cannot say where the record is"
        )
    return 2 * rest


def anchor(kinesis_number: int) -> int:
    """Return what the numbers of all records of a shard have in common."""
    return kinesis_number >> _REST_BITS


def kinesis_number(anchor: int, after: int) -> int:
    """Return Kinesis's number of the record that ``after``, above 1, stands behind or before."""
    return (anchor << _REST_BITS) | ((after + 1) // 2)


def before_record(number: int) -> int:
    """Return the position just before the record with the engine's ``number``."""
    return number - 1


def is_behind_record(after: int) -> bool:
    """Say whether the position ``after`` is just behind a record rather than just before it."""
    return after % 2 == 0


def named_record(after: int) -> int:
    """Return the engine's number of the record that ``after``, above 1, stands behind or before."""
    return after if is_behind_record(after) else after + 1
