"""A digest per record, each over the one before it: two readings of the same records have equal heads.

``head = SHA-256(previous head, position, digest of the input, canonical bytes of the outputs)``.  The chain of a
stream's first shards starts at a genesis head; that of a child at its parents' END heads, in shard order.  A repeat
that was dropped is not in the chain, so a zombie's duplicates change nothing.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kernel.agent import Output


def genesis(source: bytes) -> bytes:
    """Return the first head of a shard that a stream was created with; ``source`` is its packed ``Source``."""
    return sha256(b"genesis\0" + source).digest()


def child_of(parent_heads: Sequence[bytes], source: bytes) -> bytes:
    """Return the first head of a child: of its parents' END heads, in the order of their hash ranges, and its name."""
    return sha256(b"child\0" + b"".join(parent_heads) + source).digest()


def advance(head: bytes, position: bytes, record: bytes, outputs: Sequence[Output]) -> bytes:
    """Return the head behind the input ``record`` at the packed ``position``, which gave ``outputs``."""
    parts = [head, position, sha256(record).digest()]
    for output in outputs:
        parts.append(output.canonical_prefix())
        parts.append(output.record)
    return sha256(b"".join(parts)).digest()
