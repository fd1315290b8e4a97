"""What of Faust loses records here fails at once, and says what to use instead."""

from __future__ import annotations

import asyncio

import faust
import pytest
from mode import Service

from pipeline.faust_worker import refusals
from pipeline.faust_worker.app import NoTables, ShardBatchApp, StageAgent
from pipeline.faust_worker.errors import RefusedFeatureError
from pipeline.faust_worker.stream import BatchStream, StreamTopic
from pipeline.faust_worker.transport import NoProducer

REFUSING = [
    (faust.Stream, BatchStream, refusals.OF_STREAMS),
    (faust.Agent, StageAgent, refusals.OF_AGENTS),
    (faust.Topic, StreamTopic, refusals.OF_TOPICS),
    (faust.transport.producer.Producer, NoProducer, refusals.OF_PRODUCERS),
    (faust.App, ShardBatchApp, refusals.OF_APPS),
]
CASES = [
    pytest.param(theirs, ours, feature, instead, id=f"{theirs.__name__}.{feature}")
    for theirs, ours, features in REFUSING
    for feature, instead in features.items()
]


@pytest.mark.parametrize(("theirs", "ours", "feature", "instead"), CASES)
def test_a_refused_feature_names_what_to_use_instead(theirs: type, ours: type, feature: str, instead: str) -> None:
    with pytest.raises(RefusedFeatureError, match=f"{feature} of Faust is refused here; instead: ") as refused:
        getattr(ours, feature)(object())
    assert instead in str(refused.value)


@pytest.mark.parametrize(("theirs", "ours", "feature", "instead"), CASES)
def test_a_refused_feature_is_one_that_faust_has(theirs: type, ours: type, feature: str, instead: str) -> None:
    assert callable(getattr(theirs, feature)), f"faust.{theirs.__name__}.{feature} is gone"


def test_faust_has_no_other_way_to_derive_a_stream() -> None:
    """A new method of Stream that buffers, joins or sends must be looked at before it can be used here."""
    looked_at = {
        *refusals.OF_STREAMS,
        "ack",
        "add_processor",
        "clone",
        "contribute_to_stream",
        "derive_topic",
        "enumerate",
        "events",
        "filter",
        "get_active_stream",
        "get_root_stream",
        "info",
        "items",
        "on_merge",
        "on_start",
        "on_stop",
        "remove_from_stream",
        "send",
        "stop",
        "throw",
    }
    public = {name for name in dir(faust.Stream) if not name.startswith("_") and callable(getattr(faust.Stream, name))}
    unknown = public - set(dir(Service)) - looked_at
    assert not unknown, f"faust.Stream has methods that nobody has looked at: {sorted(unknown)}"


def test_a_table_is_refused_where_it_is_defined() -> None:
    async def scenario() -> None:
        app = ShardBatchApp("worker-1")
        with pytest.raises(RefusedFeatureError, match="kernel table"):
            app.Table("balances", default=int)
        with pytest.raises(RefusedFeatureError, match="kernel table"):
            NoTables(app).add(object())  # type: ignore[arg-type]

    asyncio.run(scenario())


def test_a_sink_is_refused_where_the_agent_is_defined() -> None:
    async def scenario() -> None:
        app = ShardBatchApp("worker-1")

        async def work(_stream: object) -> None: ...

        with pytest.raises(RefusedFeatureError, match="sinks of Faust are refused here"):
            app.agent(app.topic("payments"), sink=[print])(work)

    asyncio.run(scenario())
