"""Latencies and their percentiles."""

from __future__ import annotations

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
