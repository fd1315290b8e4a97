"""Aggregates: what is packed comes out, as AWS's library does it; what is damaged is never lost."""

from __future__ import annotations

import pytest
from aws_kinesis_agg.aggregator import AggRecord
from aws_kinesis_agg.deaggregator import iter_deaggregate_records
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LogError
from pipeline.kernel.agent import OUTPUT_BYTES_MAX
from pipeline.publisher import USER_RECORDS_MAX
from pipeline.stream_logs.aggregation import DATA_BYTES_MAX, MAGIC, hash_key_text, pack, unpack

LOW, HIGH = bytes(16), b"\xff" * 16
hashes = st.binary(min_size=16, max_size=16)
records = st.lists(st.binary(max_size=300), min_size=1, max_size=30)


@given(hashes, records)
def test_what_is_packed_is_unpacked_in_order(explicit_hash: bytes, user_records: list[bytes]) -> None:
    assert list(unpack(pack(explicit_hash, user_records))) == user_records


@given(hashes, records)
def test_the_library_packs_to_the_same_bytes(explicit_hash: bytes, user_records: list[bytes]) -> None:
    library = AggRecord()
    for user_record in user_records:
        library.add_user_record("-", user_record, hash_key_text(explicit_hash))

    assert library.get_contents() == ("-", hash_key_text(explicit_hash), pack(explicit_hash, user_records))


@given(hashes, records)
def test_the_library_unpacks_them_with_sub_sequence_numbers_in_order(
    explicit_hash: bytes, user_records: list[bytes]
) -> None:
    record = {
        "SequenceNumber": "1",
        "PartitionKey": "-",
        "ApproximateArrivalTimestamp": 0,
        "Data": pack(explicit_hash, user_records),
    }

    found = [each["kinesis"] for each in iter_deaggregate_records([record], data_format="Boto3")]

    assert [each["subSequenceNumber"] for each in found] == list(range(len(user_records)))
    assert {each["explicitHashKey"] for each in found} == {hash_key_text(explicit_hash)}


@given(records, st.data())
def test_one_flipped_bit_makes_the_whole_record_one_user_record(user_records: list[bytes], data: st.DataObject) -> None:
    packed = bytearray(pack(HIGH, user_records))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    assert list(unpack(bytes(packed))) == [bytes(packed)]


@pytest.mark.parametrize(
    "plain", [b"", b"plain", MAGIC, MAGIC + bytes(15), MAGIC + bytes(16), MAGIC + b"\xff" * 40], ids=repr
)
def test_what_was_never_packed_is_one_user_record_with_its_bytes(plain: bytes) -> None:
    assert list(unpack(plain)) == [plain]


def test_an_aggregate_of_nothing_and_a_body_that_is_no_message_are_given_whole() -> None:
    packed = pack(LOW, [b"x"])
    for body in (b"", b"\xff\xff\xff"):
        whole = MAGIC + body + _digest(body)
        assert list(unpack(whole)) == [whole]
    assert list(unpack(packed)) == [b"x"]


def test_content_that_looks_like_an_aggregate_stays_what_it_is() -> None:
    aggregate = pack(LOW, [b"x", b"y"])

    assert list(unpack(pack(LOW, [aggregate]))) == [aggregate]


def test_a_record_larger_than_kinesis_takes_is_refused_with_its_size_and_the_limit() -> None:
    room = DATA_BYTES_MAX - len(pack(LOW, [bytes(1_000_000)])) + 1_000_000
    assert len(pack(LOW, [bytes(room)])) == DATA_BYTES_MAX

    with pytest.raises(LogError, match=f"{DATA_BYTES_MAX + 1} bytes, the framing.*limit is {DATA_BYTES_MAX} bytes"):
        pack(LOW, [bytes(room + 1)])


@pytest.mark.parametrize("count", [1, USER_RECORDS_MAX])
def test_whatever_the_publisher_puts_into_one_record_fits(count: int) -> None:
    whole, rest = divmod(OUTPUT_BYTES_MAX, count)
    sizes = [whole + rest, *[whole] * (count - 1)]

    assert len(pack(HIGH, [bytes(size) for size in sizes])) <= DATA_BYTES_MAX


def test_a_hash_has_16_bytes() -> None:
    with pytest.raises(LogError, match="16 bytes, not 5"):
        pack(b"short", [b"x"])


def _digest(body: bytes) -> bytes:
    from hashlib import md5

    return md5(body, usedforsecurity=False).digest()
