"""What must hold, whatever happens; ``docs/invariants.md`` says why each does, and what would catch its breach."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Invariant(StrEnum):
    """The invariants by their letters."""

    ENDS_ONCE = "N"
    """Each accepted order ends in exactly one way, in one that it may end in, or is visibly in limbo."""
    SETTLES_AT_MOST_ONCE = "S"
    """A payment, a scheme's transaction and a UETR are settled at most once, ever."""
    IN_ORDER = "O"
    """Per key, outputs have the order of their inputs, across splits and merges."""
    MONEY = "M"
    """Every posting nets to zero; caps, deadlines and cycles are kept; a cycle's nets are the sums of its payments."""
    AUDIT_CHAIN = "A"
    """A shard has one chain of digests, whoever reads it: never two outputs of one lineage, nor two heads."""
    DETERMINISTIC = "D"
    """A replay of the recorded streams from nothing gives the live heads and states."""
    COMES_TO_REST = "R"
    """Once faults stop, everything drains in a stated virtual time."""
    BOUNDED = "B"
    """One request in flight per source and stream; at rest no timer, late put or reservation is left without reason."""
    OWN_CHECKS = "E"
    """The engine's own checks never fail: no typed InvariantViolation."""


class Problem(NamedTuple):
    """What is wrong, and which invariant it breaks."""

    invariant: Invariant
    text: str


class Breach(Exception):
    """A problem that is seen while the world runs, and stops it: what led to it is the end of the trace."""

    def __init__(self, invariant: Invariant, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(invariant, text)
