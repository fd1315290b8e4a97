"""O: per key, outputs have the order of their inputs.

A shard's outputs have lineages that rise with its inputs.  So whoever reads a key must meet the lineages of a source
shard rising, and those of a shard's ancestors before its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from chaos.auditor.invariants import Invariant, Problem
from chaos.auditor.reading import Reading
from pipeline.kernel.envelope import FROM_SHARD
from pipeline.kernel.position import Source

Ancestors = Mapping[tuple[str, str], frozenset[str]]


def ancestors_of(readings: Mapping[str, Reading]) -> Ancestors:
    """Return, by stream and shard, all shards that it descends from."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for stream, reading in readings.items():
        for shard in reading.shards:
            older = (found[stream, parent] | {parent} for parent in shard.parents)
            found[stream, shard.shard_id] = frozenset().union(*older)
    return found


def problems_of_order(readings: Mapping[str, Reading]) -> Iterator[Problem]:
    """Yield every key that meets its outputs out of order."""
    ancestors = ancestors_of(readings)
    for stream, reading in readings.items():
        last: dict[tuple[bytes, bytes], bytes] = {}
        sources: dict[bytes, dict[bytes, None]] = defaultdict(dict)
        for taken in reading.taken:
            envelope = taken.envelope
            if envelope is None or envelope.origin != FROM_SHARD or envelope.first != envelope.last:
                continue
            key, source = envelope.first, envelope.source
            if envelope.lineage <= last.get((key, source), b""):
                yield Problem(
                    Invariant.IN_ORDER,
                    f"{stream}: key {key.hex()} meets {envelope.lineage.hex()} of {source.decode()} behind a later one",
                )
            last[key, source] = envelope.lineage
            if source not in sources[key]:
                yield from _before_their_descendants(stream, source, sources[key], ancestors)
                sources[key][source] = None


def _before_their_descendants(
    stream: str, source: bytes, met: Mapping[bytes, None], ancestors: Ancestors
) -> Iterator[Problem]:
    name = Source.unpack(source)
    for other in met:
        known = Source.unpack(other)
        if known.stream == name.stream and name.shard_id in ancestors[known.stream, known.shard_id]:
            text = f"{stream}: an output of {source.decode()} comes behind one of its child {other.decode()}"
            yield Problem(Invariant.IN_ORDER, text)
