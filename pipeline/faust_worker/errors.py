"""What can go wrong in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import PipelineError, SnapshotError

if TYPE_CHECKING:
    from pipeline.kernel.position import Position


class ShardFailedError(PipelineError):
    """A batch raised: nothing of it was committed, and the worker stops."""

    def __init__(self, stage: str, shard_id: str, position: Position, cause: BaseException) -> None:
        super().__init__(f"{stage}/{shard_id} failed behind position {position}: {type(cause).__name__}: {cause}")
        self.stage = stage
        self.shard_id = shard_id
        self.position = position
        """The last record that was committed."""


class RefusedFeatureError(PipelineError):
    """A feature of Faust was used that loses records here; the message names what to use instead."""


class WorkerStoppedError(PipelineError):
    """A part of the worker ended by itself, which none does while the worker runs."""


class LastSnapshotError(SnapshotError):
    """A worker was stopped in order, but for a snapshot of what it had: what is published there is older."""
