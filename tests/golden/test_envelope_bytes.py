"""The bytes of an envelope, as ``docs/formats.md`` has them."""

from __future__ import annotations

from pipeline.kernel.envelope import (
    FROM_EDGE,
    FROM_SHARD,
    HEADER_BYTES,
    Envelope,
    decode,
    edge_lineage,
    encode,
    readdress,
)
from pipeline.kernel.hashrange import HashRange, hash_key
from pipeline.kernel.position import Position, Source, pack_lineage

KEYED = Envelope(
    origin=FROM_SHARD,
    kind=256,
    version=3,
    event_time_us=1_750_000_000_000_000,
    first=hash_key("account-1"),
    last=hash_key("account-1"),
    lineage=pack_lineage(Position((1 << 128) - 2, 7).pack(), 9),
    source=Source("log-1", "payments", "shardId-000000000002").pack(),
    body=b"\x81\xa1a\x01",
)
KEYED_BYTES = bytes.fromhex(
    "01"  # format
    "01"  # origin: a shard
    "0100"  # kind
    "0003"  # version
    "0023"  # source length
    "0006379da05b6000"  # event time
    "c667b5d4064a1e5f39f8736c05428488"  # address, first
    "c667b5d4064a1e5f39f8736c05428488"  # address, last
    "fffffffffffffffffffffffffffffffe"  # lineage: sequence number
    "00000007"  # sub-sequence number
    "00000009"  # output index
    "6c6f672d312f7061796d656e74732f73686172"  # source
    "6449642d303030303030303030303032"
    "81a16101"  # body
)

TICK = Envelope(
    origin=FROM_EDGE,
    kind=1,
    version=1,
    event_time_us=-1,
    first=bytes(16),
    last=b"\xff" * 16,
    lineage=edge_lineage(epoch=5, counter=6),
    source=b"ticker",
    body=b"\x80",
)
TICK_BYTES = bytes.fromhex(
    "01"  # format
    "00"  # origin: an edge
    "0001"  # kind
    "0001"  # version
    "0006"  # source length
    "ffffffffffffffff"  # event time: before 1970
    "00000000000000000000000000000000"  # address: all hashes
    "ffffffffffffffffffffffffffffffff"
    "0000000000000005"  # epoch
    "0000000000000006"  # counter
    "0000000000000000"
    "7469636b6572"  # producer
    "80"  # body
)


def test_an_output_of_a_shard_has_the_bytes_of_the_table() -> None:
    assert encode(KEYED).hex() == KEYED_BYTES.hex()
    assert decode(KEYED_BYTES) == KEYED


def test_a_broadcast_of_an_edge_has_the_bytes_of_the_table() -> None:
    assert encode(TICK).hex() == TICK_BYTES.hex()
    assert decode(TICK_BYTES) == TICK


def test_the_header_has_the_length_of_the_table() -> None:
    assert HEADER_BYTES == 72


def test_an_address_is_all_that_a_copy_of_a_broadcast_changes() -> None:
    part = HashRange(1, 2)

    copy = readdress(TICK_BYTES, part.first_bytes, part.last_bytes)

    assert decode(copy) == TICK._replace(first=part.first_bytes, last=part.last_bytes)
