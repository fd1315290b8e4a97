"""The metrics of all processes of one worker on one page: its supervisor's, and those of every shard's process.

Prometheus asks the supervisor, as a process of one shard has no port that anybody would know.  So each writes what it
would have shown into a file beside its status, some times a minute, and the supervisor adds the files to its own page.

Nothing is added up.  What a process counts for all of its shards it counts for its one shard, so that every sample gets
the labels ``stage`` and ``shard`` where it has none: a process that ends takes its series along, and a counter that
begins anew is the same shard's, as Prometheus expects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pipeline.kcl_daemon import shard_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pipeline.observe.metrics import Metrics

SUFFIX = ".prom"


def write(folder: Path, pid: int, metrics: Metrics) -> None:
    """Replace the child's file."""
    shard_status.replace(folder / f"{pid}{SUFFIX}", generate_latest(metrics.registry))


def remove(folder: Path, pid: int) -> None:
    """Remove the child's file, if there is one."""
    (folder / f"{pid}{SUFFIX}").unlink(missing_ok=True)


class AllProcesses(Collector):
    """What a scrape of the supervisor shows."""

    def __init__(self, own: Metrics, folder: Path) -> None:
        self._own = own
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return the families of all processes, each family once."""
        families = {family.name: family for family in self._own.registry.collect()}
        for status in shard_status.read_all(self._folder):
            for family in self._of_child(status.pid):
                labels = {"stage": status.stage, "shard": status.shard}
                _add(families.setdefault(family.name, _without_samples(family)), family, labels)
        return families.values()

    def _of_child(self, pid: int) -> Iterator[Metric]:
        try:
            text = (self._folder / f"{pid}{SUFFIX}").read_text("utf-8")
        except FileNotFoundError:
            return  # it has only just begun
        yield from text_string_to_metric_families(text)


def _without_samples(family: Metric) -> Metric:
    return Metric(family.name, family.documentation, family.type, family.unit)


def _add(to: Metric, family: Metric, labels: Mapping[str, str]) -> None:
    for sample in family.samples:
        to.samples.append(sample._replace(labels={**labels, **sample.labels}))
