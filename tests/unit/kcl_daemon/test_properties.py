"""What KCL is told follows from our settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.kcl_daemon.errors import DaemonSetupError
from pipeline.kcl_daemon.properties import DaemonPlan, render
from pipeline.settings import KclSettings

PLAN = DaemonPlan(
    application="payments-authorise",
    stream="payments",
    region="eu-west-1",
    worker="host-1",
    child=("/usr/bin/python", "-m", "agents.kcl_child", "eu-west-1"),
    kinesis_endpoint=None,
    dynamodb_endpoint=None,
)


def properties(plan: DaemonPlan = PLAN, settings: KclSettings | None = None) -> dict[str, str]:
    lines = render(plan, settings or KclSettings()).splitlines()
    return dict(line.split(" = ", 1) for line in lines)


def test_a_daemon_is_told_whose_shards_to_read_and_what_to_run_for_each() -> None:
    told = properties()

    assert told["applicationName"] == "payments-authorise"
    assert told["streamName"] == "payments"
    assert told["regionName"] == "eu-west-1"
    assert told["workerId"] == "host-1"
    assert told["executableName"] == "/usr/bin/python -m agents.kcl_child eu-west-1"


def test_limits_are_those_of_the_settings() -> None:
    told = properties(settings=KclSettings(failover_ms=6_000, shards_max=5, fetch_records_max=77, retrieval="polling"))

    assert told["failoverTimeMillis"] == "2000"
    assert told["maxLeasesForWorker"] == "5"
    assert told["maxRecords"] == "77"
    assert told["retrievalMode"] == "POLLING"


def test_a_daemon_waits_for_its_children_until_its_leases_have_run_out() -> None:
    told = properties(settings=KclSettings(failover_ms=5_000))

    assert int(told["shutdownGraceMillis"]) > 5_000


def test_a_shard_that_nobody_has_read_is_read_from_its_first_record() -> None:
    assert properties()["initialPositionInStream"] == "TRIM_HORIZON"


def test_aws_needs_no_endpoints_and_an_emulator_gets_its_own() -> None:
    assert not {"kinesisEndpoint", "dynamoDBEndpoint"} & properties().keys()

    told = properties(replace(PLAN, kinesis_endpoint="http://127.0.0.1:1", dynamodb_endpoint="http://127.0.0.1:2"))

    assert (told["kinesisEndpoint"], told["dynamoDBEndpoint"]) == ("http://127.0.0.1:1", "http://127.0.0.1:2")


@pytest.mark.parametrize("word", ["/my data/here", "", "a\tb"])
def test_a_command_line_that_kcl_would_cut_up_is_refused(word: str) -> None:
    with pytest.raises(DaemonSetupError, match=r"splits the command line .* white space"):
        properties(replace(PLAN, child=("python", word)))
