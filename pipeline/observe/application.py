"""The application's own metrics of a shard, which the engine cannot know how to read.

The composition root hands the worker a function that makes an ``ApplicationMeter`` for each shard taken over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kernel.agent import Output
    from pipeline.observe.metrics import Metrics
    from pipeline.ports import Record
    from pipeline.shard import Shard


class ApplicationMeter(Protocol):
    """Counts what one shard does, in the application's words."""

    def count(self, records: Sequence[Record], outputs: Sequence[Output], now_us: int) -> None:
        """Count a batch that was committed at ``now_us``; runs on the hot path."""

    def forget(self) -> None:
        """Show no gauges of the shard any more."""


MakeApplicationMeter = Callable[["Metrics", "Shard", str], ApplicationMeter]
"""Given the metrics, the shard as it was taken over, and its id."""


class NoApplicationMeter:
    """For an application that has nothing to add."""

    def __init__(self, _metrics: Metrics, _shard: Shard, _shard_id: str) -> None:
        pass

    def count(self, records: Sequence[Record], outputs: Sequence[Output], now_us: int) -> None:
        """Count nothing."""

    def forget(self) -> None:
        """Forget nothing."""
