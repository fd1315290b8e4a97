"""The bytes of a frame of the embedded log, as ``docs/formats.md`` has them."""

from __future__ import annotations

import google_crc32c
import pytest

from pipeline.stream_logs.frame import (
    FRAME_BYTES_MAX,
    HEAD_BYTES,
    DamagedFrameError,
    FrameHead,
    decode_head,
    encode_frame,
    frame_length,
    parse_frames,
)

OFFSET, ARRIVAL_US, BEFORE = 1_000, 1_750_000_000_000_000, 77
USER_RECORDS = [b"pay", b"", b"\x00\xff"]
FRAME = bytes.fromhex(
    "65af2d55"  # checksum
    "35000000"  # length
    "1d04000000000000"  # sequence number: 1000 + 53
    "00605ba09d370600"  # arrival time
    "4d00000000000000"  # user records before
    "03000000"  # user records
    "03000000"
    "00000000"
    "02000000"
    "706179"
    "00ff"
)


def test_a_frame_has_the_bytes_of_the_table() -> None:
    assert b"".join(encode_frame(OFFSET, ARRIVAL_US, BEFORE, USER_RECORDS)).hex() == FRAME.hex()


def test_the_bytes_of_the_table_are_read_back() -> None:
    assert decode_head(FRAME, OFFSET) == FrameHead(len(FRAME), OFFSET + len(FRAME), ARRIVAL_US, BEFORE, 3)
    parsed = parse_frames(FRAME + FRAME[:10], OFFSET, limit=100)
    assert [(record.sequence, record.arrival_us, record.user_records) for record in parsed.records] == [
        (OFFSET + len(FRAME), ARRIVAL_US, USER_RECORDS)
    ]
    assert (parsed.user_records, parsed.through) == (3, 80)


def test_a_frame_is_as_long_as_it_is_said_to_be_before_it_is_made() -> None:
    assert frame_length(USER_RECORDS) == len(FRAME)
    assert (HEAD_BYTES, FRAME_BYTES_MAX) == (36, 1_310_756)


def test_the_checksum_is_crc_32c() -> None:
    assert google_crc32c.value(b"123456789") == 0xE3069283


def test_a_frame_at_another_place_is_no_frame() -> None:
    with pytest.raises(DamagedFrameError, match="says that it ends at 1053"):
        parse_frames(FRAME, OFFSET + 1, limit=1)


@pytest.mark.parametrize("length", [0, HEAD_BYTES, FRAME_BYTES_MAX + 1])
def test_a_frame_of_an_absurd_length_is_no_frame(length: int) -> None:
    with pytest.raises(DamagedFrameError, match=f"cannot have {length} bytes"):
        parse_frames(FRAME[:4] + length.to_bytes(4, "little") + FRAME[8:], OFFSET, limit=1)
