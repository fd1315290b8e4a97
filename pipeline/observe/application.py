"""What the engine cannot know of the application that it runs, and shows all the same.

The composition root fills this in; everything has an answer for an application that has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.kernel.agent import Output


def _no_decision(_output: Output, _now_us: int) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class ApplicationView:
    """How to read an application's outputs; all of it runs on the hot path."""

    outcome_of_kind: Mapping[int, str] = field(default_factory=dict)
    """The kinds of event that say what became of a payment, and what to call that."""
    decision_latency_us: Callable[[Output, int], int | None] = _no_decision
    """Given an output and the time it was committed: how long the decision took, or None if it is none."""


NO_APPLICATION = ApplicationView()
