"""What a scrape of a worker shows."""

from __future__ import annotations

import asyncio
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from pipeline.observe.health import ObservationServer
from tests.toy_stage import create_streams
from tests.unit.faust_worker.conftest import WorkerUnderTest, eventually

FIRST = "shardId-000000000000"


def scrape(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_shows_load_lag_latency_and_what_is_held(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running(tick_ms=3_600_000):
            await testbed.say(*(("k", "hello") for _ in range(5)))

            async def committed() -> bool:
                return testbed.sample("pipeline_records_in_total", stage="count", shard=FIRST) == 5

            await eventually(committed)
            server = ObservationServer("127.0.0.1", 0, testbed.metrics.registry, testbed.worker.health)
            found = await asyncio.to_thread(scrape, server.port)
            server.close()

        stage, shard = ("stage", "count"), ("shard", FIRST)
        assert found["pipeline_records_in_total", (shard, stage)] == 5
        assert found["pipeline_outputs_total", (stage, ("stream", "counted"))] == 5
        assert found["pipeline_lag_records", (shard, stage)] == 0
        assert found["pipeline_lag_ms", (shard, stage)] == 0
        assert found["pipeline_timers", (shard, stage)] == 0
        assert found["pipeline_cached_rows", (shard, stage)] == 1
        assert found["pipeline_owned_shards", (stage,)] == 1
        assert found["pipeline_publish_seconds_count", (stage,)] >= 1
        assert found["pipeline_commit_seconds_count", (stage,)] >= 1
        assert found["pipeline_step_seconds_count", (stage,)] >= 1
        assert found["pipeline_hop_seconds_bucket", (("le", "10.0"), stage)] == 5

    asyncio.run(scenario())


def test_a_shard_that_is_given_up_shows_no_lag_any_more(testbed: WorkerUnderTest) -> None:
    async def scenario() -> None:
        await create_streams(testbed.log, 1)
        async with testbed.running():
            await testbed.say(("k", "hello"))
            await testbed.until_counted({"k": 1})
            assert testbed.sample("pipeline_lag_records", stage="count", shard=FIRST) is not None
        assert testbed.sample("pipeline_lag_records", stage="count", shard=FIRST) is None
        assert testbed.sample("pipeline_snapshot_timestamp_seconds", stage="count", shard=FIRST) is None
        assert testbed.sample("pipeline_owned_shards", stage="count") == 0
        assert (testbed.sample("pipeline_records_in_total", stage="count", shard=FIRST) or 0) >= 1

    asyncio.run(scenario())
