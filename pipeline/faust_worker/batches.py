"""What travels through the Faust app, and where it comes from.

One Faust event is one batch of one shard: Faust's cost per event, some hundred microseconds, is shared by all records
of the batch, and its acknowledgement means that the whole batch was committed.

A source delivers the batches of a shard in order and one at a time: ``deliver`` returns when the batch was
acknowledged, and only then comes the next one.  Several shards proceed at once.  A batch whose agent raised is never
acknowledged, so nothing behind it is ever delivered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.faust_worker.shards import OwnedShard
    from pipeline.ports import Record


@dataclass(frozen=True, slots=True, eq=False)
class ShardBatch:
    """Records of one shard, in order, behind everything that the shard has committed."""

    owned: OwnedShard
    records: Sequence[Record]
    """May be empty in the last batch of a shard."""
    ended: bool
    """True when the shard is closed and nothing comes behind ``records``."""
    behind_records: int
    """User records in the log behind this batch."""
    behind_us: int


Deliver = Callable[[ShardBatch], Awaitable[None]]
"""Hands over a batch and returns when it was acknowledged."""


class BatchSource(Protocol):
    """Where batches come from: the log itself, or whoever reads it for us."""

    async def run(self, deliver: Deliver) -> None:
        """Deliver batches until stopped, or until there can be no more; return when the last one was acknowledged."""

    def stop(self) -> None:
        """Deliver nothing more."""
