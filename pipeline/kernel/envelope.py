"""A record's header and body, to bytes and back; ``docs/formats.md`` has the byte table.

The header says what the body is (kind and version), when it happened, which hashes it is addressed to, and where it
comes from: a shard's lineage, or an edge (producer, epoch, counter).  Nothing in it needs the body to be understood,
so that a reader can drop, deduplicate or park a record whatever it carries.

A stage handles bodies up to ``BODY_BYTES_MAX``, half of what a log takes: so what it sends on because of one, or keeps
of it when it parks it, still fits into a log.
"""

from __future__ import annotations

from struct import Struct, error
from typing import NamedTuple

from pipeline.errors import Poison

FORMAT = 1
FROM_EDGE = 0
FROM_SHARD = 1
SOURCE_BYTES_MAX = 255
BODY_BYTES_MAX = 1 << 19

_HEADER = Struct(">BBHHHq16s16s24s")
_ADDRESS_OFFSET = 16
_ADDRESS_END = 48
_EDGE_ORIGIN = Struct(">QQ8x")
HEADER_BYTES = _HEADER.size


class Envelope(NamedTuple):
    """A decoded record.  Hashes are 16 big-endian bytes; ``first == last`` unless it is a broadcast."""

    origin: int
    kind: int
    version: int
    event_time_us: int
    first: bytes
    last: bytes
    lineage: bytes
    """24 bytes that sort: the position and output index of a shard, or the epoch and counter of an edge."""
    source: bytes
    """The packed ``Source`` of a shard, or the producer's id."""
    body: bytes


def encode(envelope: Envelope) -> bytes:
    """Return the record's bytes."""
    return encode_fields(*envelope)


def encode_fields(  # noqa: PLR0913, PLR0917 - an envelope has as many fields
    origin: int,
    kind: int,
    version: int,
    event_time_us: int,
    first: bytes,
    last: bytes,
    lineage: bytes,
    source: bytes,
    body: bytes,
) -> bytes:
    """Return the record's bytes: as :func:`encode`, for the fields of an envelope that nobody else will see."""
    if len(source) > SOURCE_BYTES_MAX:
        raise ValueError(f"a source has at most {SOURCE_BYTES_MAX} bytes: {source!r}")
    header = _HEADER.pack(FORMAT, origin, kind, version, len(source), event_time_us, first, last, lineage)
    return header + source + body


def decode(record: bytes) -> Envelope:
    """Return the envelope in ``record``, or raise ``Poison`` saying what is wrong with it."""
    try:
        form, origin, kind, version, source_bytes, event_time_us, first, last, lineage = _HEADER.unpack_from(record)
    except error:
        raise Poison(f"a record of {len(record)} bytes is shorter than an envelope's header") from None
    if form != FORMAT or origin > FROM_SHARD:
        raise Poison(f"unknown envelope format {form} or origin {origin}")
    end = HEADER_BYTES + source_bytes
    if end > len(record) or source_bytes > SOURCE_BYTES_MAX:
        raise Poison("the envelope's source is longer than the record or its limit")
    if first > last:
        raise Poison("the envelope's address ends before it begins")
    source = record[HEADER_BYTES:end]
    return Envelope(origin, kind, version, event_time_us, first, last, lineage, source, record[end:])


def readdress(record: bytes, first: bytes, last: bytes) -> bytes:
    """Return a copy of an encoded broadcast for the hashes from ``first`` to ``last``; its identity stays."""
    return record[:_ADDRESS_OFFSET] + first + last + record[_ADDRESS_END:]


def edge_lineage(epoch: int, counter: int) -> bytes:
    """Return the 24 bytes that stand where a shard's lineage would: the ``counter``-th record of a producer's run."""
    return _EDGE_ORIGIN.pack(epoch, counter)
