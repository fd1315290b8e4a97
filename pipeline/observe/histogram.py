"""A histogram that is cheap to observe: it is counted on the hot path and added up when somebody scrapes.

``prometheus_client``'s own takes a lock for each of two values and looks for the bucket one by one, 1.5 us in all; this
one takes 0.3.  It is observed by one thread only.  A scrape in the middle of an observation may see it half counted, as
the next scrape will show whole.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.observe.metric_defs import HistogramDefinition


class Histogram:
    """How often a value fell into each bucket, for one set of labels."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Not yet added up; the last is for what is above every bound."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count ``value`` into the bucket whose upper bound is the first that is not below it."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class HistogramCollector(Collector):
    """All label sets of one histogram, for the registry."""

    def __init__(self, definition: HistogramDefinition) -> None:
        self._definition = definition
        self._by_labels: dict[tuple[str, ...], Histogram] = {}

    def labels(self, *labels: str) -> Histogram:
        """Return the histogram of these label values."""
        if len(labels) != len(self._definition.labels):
            raise ValueError(f"{self._definition.name} has the labels {self._definition.labels}, not {labels}")
        return self._by_labels.setdefault(labels, Histogram(self._definition.buckets))

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return what a scrape shows."""
        definition = self._definition
        family = HistogramMetricFamily(definition.name, definition.text, labels=definition.labels)
        bounds = [*map(str, definition.buckets), "+Inf"]
        for labels, histogram in list(self._by_labels.items()):
            buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
            family.add_metric(labels, buckets=buckets, sum_value=histogram.total)
        yield family
