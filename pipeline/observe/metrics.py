"""The metrics of one process: made from their definitions, kept in a registry of their own.

Nothing here is global.  Who makes a worker makes its ``Metrics`` and hands them on, so that two workers in one test
count apart.  A metric with its labels is looked up once and kept by whoever counts: counting is one call.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from pipeline.observe import metric_defs
from pipeline.observe.histogram import Histogram, HistogramCollector
from pipeline.observe.metric_defs import CounterDefinition, GaugeDefinition, HistogramDefinition


class Metrics:
    """All metrics of ``metric_defs``, and those of the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters: dict[CounterDefinition, Counter] = {}
        self._gauges: dict[GaugeDefinition, Gauge] = {}
        self._histograms: dict[HistogramDefinition, HistogramCollector] = {}
        for definition in metric_defs.ALL:
            self._add(definition)

    def counter(self, definition: CounterDefinition, *labels: str) -> Counter:
        """Return the counter of these label values, in the order of the definition."""
        counter = self._counters[definition]
        return counter.labels(*labels) if definition.labels else counter

    def gauge(self, definition: GaugeDefinition, *labels: str) -> Gauge:
        """Return the gauge of these label values."""
        gauge = self._gauges[definition]
        return gauge.labels(*labels) if definition.labels else gauge

    def histogram(self, definition: HistogramDefinition, *labels: str) -> Histogram:
        """Return the histogram of these label values."""
        return self._histograms[definition].labels(*labels)

    def forget(self, definition: GaugeDefinition, *labels: str) -> None:
        """Stop showing a gauge: what it told about is not here any more."""
        self._gauges[definition].remove(*labels)

    def _add(self, definition: CounterDefinition | GaugeDefinition | HistogramDefinition) -> None:
        name, text, labels = definition.name, definition.text, definition.labels
        if isinstance(definition, CounterDefinition):
            self._counters[definition] = Counter(name, text, labels, registry=self.registry)
        elif isinstance(definition, GaugeDefinition):
            self._gauges[definition] = Gauge(name, text, labels, registry=self.registry)
        else:
            self._histograms[definition] = HistogramCollector(definition)
            self.registry.register(self._histograms[definition])
