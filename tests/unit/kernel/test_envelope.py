"""Envelopes: every value survives the way to bytes and back, and bytes that are none are poison and nothing worse."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.errors import Poison
from pipeline.kernel.envelope import (
    FROM_EDGE,
    FROM_SHARD,
    HEADER_BYTES,
    SOURCE_BYTES_MAX,
    Envelope,
    decode,
    edge_lineage,
    encode,
    readdress,
)
from pipeline.kernel.hashrange import HashRange
from tests.unit.kernel.strategies import hash_bytes, lineages, ranges

sixteen_bits = st.integers(0, (1 << 16) - 1)
sixty_four_bits = st.integers(0, (1 << 64) - 1)


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    """Return any envelope there can be."""
    address = draw(ranges())
    return Envelope(
        origin=draw(st.sampled_from([FROM_EDGE, FROM_SHARD])),
        kind=draw(sixteen_bits),
        version=draw(sixteen_bits),
        event_time_us=draw(st.integers(-(1 << 63), (1 << 63) - 1)),
        first=address.first_bytes,
        last=address.last_bytes,
        lineage=draw(lineages),
        source=draw(st.binary(max_size=SOURCE_BYTES_MAX)),
        body=draw(st.binary()),
    )


@given(envelopes())
def test_any_envelope_comes_back_from_its_bytes(envelope: Envelope) -> None:
    assert decode(encode(envelope)) == envelope


@given(envelopes(), ranges())
def test_readdressing_changes_the_address_and_nothing_else(envelope: Envelope, address: HashRange) -> None:
    first, last = address.first_bytes, address.last_bytes

    assert decode(readdress(encode(envelope), first, last)) == envelope._replace(first=first, last=last)


@given(st.binary(max_size=HEADER_BYTES * 3))
def test_any_bytes_are_an_envelope_or_poison(data: bytes) -> None:
    _decode_or_poison(data)


@given(envelopes(), st.data())
def test_an_envelope_with_a_byte_changed_is_an_envelope_or_poison(envelope: Envelope, data: st.DataObject) -> None:
    record = bytearray(encode(envelope))
    record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))

    _decode_or_poison(bytes(record))


@given(envelopes(), st.data())
def test_an_envelope_cut_before_its_body_is_poison(envelope: Envelope, data: st.DataObject) -> None:
    record = encode(envelope)
    cut = data.draw(st.integers(0, HEADER_BYTES + len(envelope.source) - 1))

    with pytest.raises(Poison):
        decode(record[:cut])


@given(envelopes(), hash_bytes, hash_bytes)
def test_an_address_that_ends_before_it_begins_is_poison(envelope: Envelope, one: bytes, other: bytes) -> None:
    assume(one != other)
    backwards = envelope._replace(first=max(one, other), last=min(one, other))

    with pytest.raises(Poison, match="ends before it begins"):
        decode(encode(backwards))


@given(st.tuples(sixty_four_bits, sixty_four_bits), st.tuples(sixty_four_bits, sixty_four_bits))
def test_what_an_edge_sends_sorts_by_epoch_and_then_by_counter(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (one < other) == (edge_lineage(*one) < edge_lineage(*other))


def test_a_source_longer_than_its_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 255 bytes"):
        encode(Envelope(FROM_EDGE, 256, 1, 0, bytes(16), bytes(16), bytes(24), bytes(256), b""))


def test_an_unknown_format_or_origin_is_poison() -> None:
    record = encode(Envelope(FROM_EDGE, 256, 1, 0, bytes(16), bytes(16), bytes(24), b"", b""))

    for changed in (b"\x02" + record[1:], record[:1] + b"\x02" + record[2:]):
        with pytest.raises(Poison, match="unknown envelope format"):
            decode(changed)


def _decode_or_poison(data: bytes) -> None:
    try:
        envelope = decode(data)
    except Poison:
        return
    assert encode(envelope) == data
