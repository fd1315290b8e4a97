"""Whatever bytes come, ``decode`` gives an event or one error; and what the error says is for ever."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.errors import UndecodableEventError
from schemas.events import CutOffScheduled, CycleNetted, ParticipantListed, PaymentHeld
from schemas.first_fault import NOT_THE_ONE_FORM, first_fault
from tests.golden.examples import EXAMPLE_OF_TYPE, EXAMPLES

_pack = msgspec.msgpack.encode
any_kind = st.sampled_from(sorted(codec.KINDS))


@settings(max_examples=300, deadline=None)
@given(any_kind, st.binary(max_size=200))
def test_any_bytes_are_an_event_or_refused(kind: int, body: bytes) -> None:
    assert_an_event_or_refused(kind, body)


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_the_bytes_of_an_event_that_were_changed_are_an_event_or_refused(event: object, data: st.DataObject) -> None:
    kind, _, body = codec.encode(event)
    for _ in range(data.draw(st.integers(1, 3))):
        cut = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(cut, min(len(body), cut + 8)))
        body = body[:cut] + data.draw(st.binary(max_size=8)) + body[end:]

    assert_an_event_or_refused(kind, body)


@settings(max_examples=200, deadline=None)
@given(
    any_kind,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
        max_leaves=12,
    ),
)
def test_any_messagepack_is_an_event_or_refused(kind: int, value: object) -> None:
    assert_an_event_or_refused(kind, _pack(value))


def assert_an_event_or_refused(kind: int, body: bytes) -> None:
    try:
        event = codec.decode(kind, codec.VERSION, body)
    except UndecodableEventError as refused:
        reason = str(refused)
        assert reason.startswith(codec.KINDS[kind].__name__ + ": ")
        assert reason.isprintable()
        assert reason.isascii()
        assert len(reason) < 200
    else:
        assert codec.encode(event) == (kind, codec.VERSION, body)


@pytest.mark.parametrize(("kind", "version"), [(0, 1), (255, 1), (999, 1), (256, 0), (256, 77)])
def test_a_kind_or_version_that_is_not_known_is_refused(kind: int, version: int) -> None:
    with pytest.raises(UndecodableEventError, match=f"^unknown event: kind {kind}, version {version}$"):
        codec.decode(kind, version, b"\x80")


CYCLE = b"\xa5cycle"
AT_US = b"\xa5at_us"
MANY = struct.pack(">I", 0xFFFFFFFF)
REASONS: tuple[tuple[type, bytes, str], ...] = (
    (CutOffScheduled, b"", "the body ends in the middle"),
    (CutOffScheduled, b"\xc1", "must be a map, not a value of another kind"),
    (CutOffScheduled, b'{"cycle":1,"at_us":1}', "must be a map, not an integer"),
    (CutOffScheduled, b"\x92\x01\x01", "must be a map, not a list"),
    (CutOffScheduled, b"\xdf" + MANY, "the body ends in the middle"),
    (CutOffScheduled, b"\x82" + CYCLE, "cycle: the body ends in the middle"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\x01" + AT_US + b"\x01\x00\x00", "2 bytes behind its end"),
    (CutOffScheduled, b"\x81" + CYCLE + b"\x01", "field at_us is missing"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\x01" + CYCLE + b"\x02", "field cycle is there twice"),
    (CutOffScheduled, b"\x83" + CYCLE + b"\x01" + AT_US + b"\x01" + CYCLE + b"\x01", "field cycle is there twice"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\x01\xa4at\nu\x01", "unknown field 'at\\nu'"),
    (CutOffScheduled, b"\x82\x01\x01", "must be text, not an integer"),
    (CutOffScheduled, b"\x82\xa5cycl\xff", "text that is not UTF-8"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xc0", "cycle: must be an integer, not nothing"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xc3", "cycle: must be an integer, not true or false"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xcb" + bytes(8), "cycle: must be an integer, not a fraction"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xa11", "cycle: must be an integer, not text"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xc4\x011", "cycle: must be an integer, not bytes"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xd6\xff1234", "cycle: must be an integer, not a value of another kind"),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xff" + AT_US + b"\x01", "cycle is from 0 to 9223372036854775807, not -1"),
    (CutOffScheduled, b"\x82" + AT_US + b"\x01" + CYCLE + b"\x01", NOT_THE_ONE_FORM),
    (CutOffScheduled, b"\x82" + CYCLE + b"\xcc\x01" + AT_US + b"\x01", NOT_THE_ONE_FORM),
    (CutOffScheduled, b"\x82\xd9\x05cycle\x01" + AT_US + b"\x01", NOT_THE_ONE_FORM),
    (PaymentHeld, b"\x84\xacexplanations\xdd" + MANY, "explanations.0: the body ends in the middle"),
    (PaymentHeld, b"\x84\xacexplanations\x92\xa0\x00", "explanations.1: must be text, not an integer"),
    (CycleNetted, b"\x84\xa5first\xa2ab", "first: must be bytes, not text"),
    (CycleNetted, b"\x84\xa9positions\x91\xa0", "positions.0: must be a map, not text"),
    (ParticipantListed, b"\x85\xa4caps\x82\xa3EUR\x01\xa3EUR\x02", "caps.1: the same key as an entry before"),
    (ParticipantListed, b"\x85\xa4caps\x81\xa3EUR\xc2", "caps.0: must be an integer, not true or false"),
    (ParticipantListed, b"\x85\xa9available\x00", "available: must be true or false, not an integer"),
)


@pytest.mark.parametrize(("event_type", "body", "reason"), REASONS, ids=[reason for _, _, reason in REASONS])
def test_the_reason_of_a_refusal_is_the_same_for_ever(event_type: type, body: bytes, reason: str) -> None:
    """It is a part of the audit chain: another word, and a replay would differ from what it replays."""
    kind, version, _ = codec.encode(EXAMPLE_OF_TYPE[event_type])

    with pytest.raises(UndecodableEventError) as refused:
        codec.decode(kind, version, body)

    assert str(refused.value) == f"{event_type.__name__}: {reason}"


@pytest.mark.parametrize(
    "nested", [b"\x91" * 100_000, b"\x81\xa1x" * 100_000, b"\x91" * 700 + b"\x90"], ids=["lists", "maps", "a deep list"]
)
@pytest.mark.parametrize("frames", [0, 200, 500])
def test_how_deep_the_stack_is_does_not_show_in_a_reason(nested: bytes, frames: int) -> None:
    kind, version, body = codec.encode(CutOffScheduled(1, 1))
    with_a_nest = b"\x83" + body[1:] + b"\xa4nest" + nested

    def reason(frames: int) -> str:
        if frames:
            return reason(frames - 1)
        with pytest.raises(UndecodableEventError) as refused:
            codec.decode(kind, version, with_a_nest)
        return str(refused.value)

    assert reason(frames) == "CutOffScheduled: unknown field 'nest'"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_bytes_without_a_fault_have_none(example: object) -> None:
    _, _, body = codec.encode(example)

    assert first_fault(type(example), body) == NOT_THE_ONE_FORM


def test_a_megabyte_of_text_is_refused_in_a_line() -> None:
    kind, version, body = codec.encode(CutOffScheduled(1, 1))

    with pytest.raises(UndecodableEventError, match=r"^CutOffScheduled: unknown field 'AAAAAA'\.\.\.$"):
        codec.decode(kind, version, b"\x83" + body[1:] + _pack("A" * 1_000_000) + b"\x01")
