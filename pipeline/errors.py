"""What can go wrong in the engine, one class per meaning.

Two kinds of failure are kept apart.  ``Poison`` is about one record: it is parked and the shard goes on.  Everything
else here stops the process without a commit, because going on would lose money or move it twice.
"""

from __future__ import annotations


class Poison(Exception):
    """A record that cannot be processed: it is parked whole, with this reason, and the shard goes on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PipelineError(Exception):
    """Any failure that stops a shard before it commits."""


class InvariantViolation(PipelineError):
    """Our own state is wrong; nothing may be written from here on."""


class UnknownBehaviourError(PipelineError):
    """The log activated a behaviour version that this build does not have."""


class HorizonError(PipelineError):
    """A stream keeps records for longer than the stage that reads it can tell repeats from news."""


class TrimmedRangeError(PipelineError):
    """Records that the shard still needs are no longer kept by the log."""

    def __init__(self, stream: str, shard_id: str, after: int, first_kept_after: int | None) -> None:
        """Name what is missing; ``first_kept_after`` is None if no record of the shard is kept."""
        end = "whatever came last" if first_kept_after is None else str(first_kept_after)
        super().__init__(
            f"{stream}/{shard_id}: records after sequence number {after} up to {end} were trimmed; "
            "restore a newer snapshot, or re-drive this range from the archive"
        )
        self.missing = (after, first_kept_after)


class BeyondEndError(PipelineError):
    """A restored position lies beyond the end of the log: state and log do not belong together."""

    def __init__(self, stream: str, shard_id: str, after: int, end: int) -> None:
        super().__init__(
            f"{stream}/{shard_id}: the state has read up to sequence number {after}, but the log ends at {end}; "
            "this state belongs to another log, or the log has lost records"
        )


class StateError(PipelineError):
    """A state store is open elsewhere, damaged, or cannot be written; the message says which folder."""


class SnapshotError(PipelineError):
    """A snapshot is missing, incomplete, corrupt, or belongs to another shard."""


class LogError(PipelineError):
    """The stream log refused a request or is damaged; the message says which file or shard."""
