"""The bytes of a record on Kinesis, as ``docs/formats.md`` has them."""

from __future__ import annotations

from hashlib import md5

from pipeline.stream_logs.aggregation import pack, unpack

HASH = (7).to_bytes(16, "big")
USER_RECORDS = [b"pay", b"", b"\x00\xff"]
BODY = bytes.fromhex(
    "0a012d"  # partition keys: "-"
    "120137"  # hash keys: "7"
    "1a09"  # a user record of 9 bytes
    "0800"  # its partition key: the first
    "1000"  # its hash key: the first
    "1a03706179"  # its data
    "1a06"
    "0800"
    "1000"
    "1a00"
    "1a08"
    "0800"
    "1000"
    "1a0200ff"
)
RECORD = bytes.fromhex("f3899ac2") + BODY + md5(BODY, usedforsecurity=False).digest()


def test_a_record_on_kinesis_has_the_bytes_of_the_table() -> None:
    assert pack(HASH, USER_RECORDS).hex() == RECORD.hex()


def test_the_bytes_of_the_table_are_read_back() -> None:
    assert list(unpack(RECORD)) == USER_RECORDS
