from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from pipeline.observe import metric_defs
from pipeline.observe.health import Health, ObservationServer
from pipeline.observe.metrics import Metrics


@contextmanager
def observed(health: Health) -> Iterator[tuple[ObservationServer, Metrics]]:
    metrics = Metrics()
    server = ObservationServer("127.0.0.1", 0, metrics.registry, lambda: health)
    try:
        yield server, metrics
    finally:
        server.close()


def get(server: ObservationServer, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_are_shown_as_prometheus_reads_them() -> None:
    with observed(Health(True, {})) as (server, metrics):
        metrics.counter(metric_defs.PARKED, "authorise", "shard-0").inc(7)
        status, text = get(server, "/metrics")
    assert status == 200
    assert 'pipeline_parked_total{shard="shard-0",stage="authorise"} 7.0' in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize(("healthy", "status"), [(True, 200), (False, 503)])
def test_health_answers_a_probe_and_tells_a_person(healthy: bool, status: int) -> None:
    with observed(Health(healthy, {"worker": "worker-1", "shards": []})) as (server, _):
        answered, text = get(server, "/health?verbose")
    assert answered == status
    assert json.loads(text) == {"healthy": healthy, "worker": "worker-1", "shards": []}


def test_any_other_page_says_which_there_are() -> None:
    with observed(Health(True, {})) as (server, _):
        status, text = get(server, "/")
    assert status == 404
    assert "/metrics and /health" in text
