"""One Kinesis record of many user records, in the format of the Kinesis Producer Library; ``docs/formats.md`` has it.

    magic (4) ── AggregatedRecord, protobuf ── MD5 of the protobuf (16)

Kinesis takes 1,000 records a second into a shard and asks by the record, so small user records travel together.  The
format is KPL's, and its messages are those that AWS generated: KCL takes the record apart by itself, with the
aggregate's sequence number and the sub-sequence numbers 0, 1, 2, … in order, exactly as ``unpack`` does.

Every user record carries the hash key that the whole record was put under.  KCL drops a user record whose key lies
outside the shard that it reads.  Whether a record is for a shard is told by the address in its envelope, which may be
a range - a broadcast that landed on the upper half of a split shard is for that half, although its range begins in the
lower one - so KCL must let all of them through.

The library's own de-aggregator takes an aggregate with a wrong digest for a plain record, prints, and goes on.  Here
the digest is checked, and a record that is damaged, or was never packed, is *one* user record with all of its bytes:
the stage cannot read it as an envelope and parks it whole.  A record of ours is always packed, one user record or
many, so no content can pass for an aggregate.
"""

from __future__ import annotations

import importlib
import sys
from hashlib import md5
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from pipeline.errors import LogError
from pipeline.kernel.hashrange import HASH_BYTES
from pipeline.stream_logs.frame import check_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# The generated module asks for config_pb2 without its package; the library changes sys.path for that when imported.
sys.modules.setdefault("config_pb2", importlib.import_module("aws_kinesis_agg.config_pb2"))
_AggregatedRecord: Any = importlib.import_module("aws_kinesis_agg.messages_pb2").AggregatedRecord

MAGIC = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES = 16
RECORD_BYTES_MAX = 1 << 20
"""What Kinesis takes as one record by default: data and partition key together."""
PARTITION_KEY = "-"
"""Kinesis wants one; where a record goes is said by its explicit hash key alone."""
DATA_BYTES_MAX = RECORD_BYTES_MAX - len(PARTITION_KEY)


def pack(explicit_hash: bytes, user_records: Sequence[bytes]) -> bytes:
    """Return the data of one Kinesis record; ``LogError`` if it is larger than Kinesis takes, or empty."""
    check_record(user_records)
    message = _AggregatedRecord(
        partition_key_table=(PARTITION_KEY,), explicit_hash_key_table=(hash_key_text(explicit_hash),)
    )
    add = message.records.add
    for user_record in user_records:
        add(partition_key_index=0, explicit_hash_key_index=0, data=user_record)
    body: bytes = message.SerializeToString()
    size = len(MAGIC) + len(body) + DIGEST_BYTES
    if size > DATA_BYTES_MAX:
        raise LogError(
            f"a record of {size} bytes, the framing of its {len(user_records)} user records included, is refused: "
            f"Kinesis's limit is {DATA_BYTES_MAX} bytes"
        )
    return b"".join((MAGIC, body, _digest(body)))


def unpack(data: bytes) -> Sequence[bytes]:
    """Return the user records in the data of one Kinesis record, in order; the data itself if it is no whole aggregate.

    An aggregate without user records is no record of ours either, and is given as it is.
    """
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + DIGEST_BYTES:
        return (data,)
    body = data[len(MAGIC) : -DIGEST_BYTES]
    if _digest(body) != data[-DIGEST_BYTES:]:
        return (data,)
    try:
        message = _AggregatedRecord.FromString(body)
    except DecodeError:
        return (data,)
    return [record.data for record in message.records] or (data,)


def hash_key_text(explicit_hash: bytes) -> str:
    """Return a hash as Kinesis's ExplicitHashKey has it: in decimal digits; ``LogError`` if it is none."""
    if len(explicit_hash) != HASH_BYTES:
        raise LogError(f"an explicit hash has {HASH_BYTES} bytes, not {len(explicit_hash)}")
    return str(int.from_bytes(explicit_hash, "big"))


def _digest(body: bytes) -> bytes:
    return md5(body, usedforsecurity=False).digest()
