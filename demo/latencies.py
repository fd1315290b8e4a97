"""Latencies and their percentiles, and how often something happens."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Latencies:
    """Milliseconds, as they come."""

    values_ms: list[float] = field(default_factory=list)

    def add(self, latency_us: int) -> None:
        """Note one latency."""
        self.values_ms.append(latency_us / 1000)

    def percentile(self, percent: float) -> float:
        """Return the value that ``percent`` of all do not exceed (nearest rank); 0 if there is none."""
        if not self.values_ms:
            return 0.0
        ordered = sorted(self.values_ms)
        rank = max(1, -(-len(ordered) * percent // 100))
        return ordered[int(rank) - 1]

    def summary(self) -> dict[str, float]:
        """Return p50, p95, p99 and max, in milliseconds."""
        points = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
        return {name: round(self.percentile(percent), 2) for name, percent in points.items()}


class RecentRate:
    """How fast a count rises, over the last few seconds."""

    def __init__(self, seconds: float) -> None:
        self._window_us = round(seconds * 1_000_000)
        self._counts: deque[tuple[int, int]] = deque()
        """(when, count): from the last that is out of the window on."""

    def of(self, count: int, now_us: int) -> float:
        """Return how much it has risen a second, now that it is at ``count``."""
        counts = self._counts
        counts.append((now_us, count))
        while len(counts) > 1 and counts[1][0] <= now_us - self._window_us:
            counts.popleft()
        since_us, before = counts[0]
        return (count - before) * 1_000_000 / (now_us - since_us) if now_us > since_us else 0.0
