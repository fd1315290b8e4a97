"""Builders for the rows that a shard starts with, and commits of single parts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pipeline.kernel import keys
from pipeline.kernel.cycles import NONE_YET, Coverage, encode_closed, encode_coverage
from pipeline.kernel.tables import Changes
from pipeline.state.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kernel.hashrange import HashRange


class Collected(Protocol):
    """A part of a shard's state."""

    def collect(self, changes: Changes) -> None: ...


def a_state(pieces: Sequence[HashRange], ranges: Sequence[HashRange] | None = None) -> MemoryStore:
    """Return a state that has read nothing, with these pieces, and with these own ranges (default: the pieces)."""
    rows: Changes = {}
    for piece in pieces:
        rows[keys.PIECE + piece.first_bytes] = piece.last_bytes
        rows[keys.COVERAGE + piece.first_bytes] = encode_coverage(Coverage())
    for own in pieces if ranges is None else ranges:
        rows[keys.CLOSED + own.first_bytes] = encode_closed(own.last_bytes, NONE_YET)
    store = MemoryStore()
    store.write(rows)
    return store


def commit(part: Collected, store: MemoryStore) -> None:
    """Write what ``part`` has changed."""
    changes: Changes = {}
    part.collect(changes)
    store.write(changes)
