from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.observe import metric_defs
from pipeline.observe.histogram import Histogram
from pipeline.observe.metric_defs import CounterDefinition, GaugeDefinition, HistogramDefinition
from pipeline.observe.metrics import Metrics

HISTOGRAM = metric_defs.HOP


def test_every_metric_is_declared_once() -> None:
    names = [definition.name for definition in metric_defs.ALL]
    assert len(names) == len(set(names))
    assert len(names) > 20


@pytest.mark.parametrize("definition", metric_defs.ALL, ids=lambda definition: definition.name)
def test_a_name_says_what_is_measured_in_which_unit(
    definition: CounterDefinition | GaugeDefinition | HistogramDefinition,
) -> None:
    assert re.fullmatch(r"(pipeline|payments)(_[a-z]+)+", definition.name)
    assert definition.text.endswith(".")
    assert not set(definition.labels) - {"stage", "shard", "stream", "outcome", "currency", "route", "status"}, (
        "labels must be bounded"
    )


def test_an_operator_is_told_what_to_read_from_each_metric() -> None:
    """Each definition, or the group it stands in, is followed by a comment in words."""
    body = ast.parse(inspect.getsource(metric_defs)).body
    untold = None
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Call()) if name != "ALL":
                untold = name
            case ast.Expr(ast.Constant()):
                untold = None
            case ast.Assign(targets=[ast.Name("ALL")]):
                assert untold is None, f"{untold} says nothing to the operator"


def test_every_metric_is_counted_by_somebody() -> None:
    source = "".join(path.read_text() for package in ("pipeline", "agents") for path in Path(package).rglob("*.py"))
    names = [name for name, value in vars(metric_defs).items() if value in metric_defs.ALL]
    assert not [name for name in names if f"defs.{name}" not in source]


@given(st.lists(st.floats(0, 20)))
def test_every_value_is_counted_into_the_buckets_that_it_does_not_exceed(values: list[float]) -> None:
    metrics = Metrics()
    histogram = metrics.histogram(HISTOGRAM, "authorise")
    for value in values:
        histogram.observe(value)

    def sample(suffix: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(HISTOGRAM.name + suffix, {"stage": "authorise", **labels})

    for bound in HISTOGRAM.buckets:
        assert sample("_bucket", le=str(bound)) == sum(value <= bound for value in values)
    assert sample("_bucket", le="+Inf") == sample("_count") == len(values)
    assert sample("_sum") == pytest.approx(sum(values))


def test_the_same_labels_are_the_same_histogram() -> None:
    metrics = Metrics()
    assert metrics.histogram(HISTOGRAM, "settle") is metrics.histogram(HISTOGRAM, "settle")
    assert isinstance(metrics.histogram(HISTOGRAM, "settle"), Histogram)
    with pytest.raises(ValueError, match="has the labels"):
        metrics.histogram(HISTOGRAM)


def test_two_processes_in_one_test_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.counter(metric_defs.PARKED, "authorise", "shard-0").inc()
    assert other.registry.get_sample_value("pipeline_parked_total", {"stage": "authorise", "shard": "shard-0"}) is None


def test_a_gauge_that_is_forgotten_is_not_shown() -> None:
    metrics = Metrics()
    metrics.gauge(metric_defs.TIMERS, "settle", "shard-0").set(3)
    metrics.forget(metric_defs.TIMERS, "settle", "shard-0")
    metrics.forget(metric_defs.TIMERS, "settle", "shard-0")
    assert metrics.registry.get_sample_value("pipeline_timers", {"stage": "settle", "shard": "shard-0"}) is None
