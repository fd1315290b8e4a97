"""A new application gets its leases, and every daemon takes its own; what runs already is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.config import Config

from pipeline.kcl_daemon import leases
from pipeline.kcl_daemon.errors import DaemonSetupError
from pipeline.kernel.hashrange import FULL_RANGE
from pipeline.ports import ShardDescription
from tests.aws_under_test import REGION, aws_server, client

_applications = count()


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    with aws_server() as address:
        yield client("dynamodb", address)


@pytest.fixture
def application() -> str:
    return f"application-{next(_applications)}"


def shard(name: str, *parents: str) -> ShardDescription:
    return ShardDescription(name, FULL_RANGE, tuple(parents), closed=False)


def items(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    return list(dynamodb.scan(TableName=table, ConsistentRead=True)["Items"])


def test_each_shard_that_is_nobodys_child_gets_a_lease_that_nobody_owns(dynamodb: Any, application: str) -> None:
    leases.seed(dynamodb, application, [shard("a"), shard("b", "a"), shard("c", "trimmed long ago")])

    found = items(dynamodb, application)
    assert sorted(item["leaseKey"]["S"] for item in found) == ["a", "c"]
    assert {item["checkpoint"]["S"] for item in found} == {"TRIM_HORIZON"}
    assert not any("leaseOwner" in item for item in found)


def test_no_leader_hands_leases_out(dynamodb: Any, application: str) -> None:
    leases.seed(dynamodb, application, [shard("a")])

    (item,) = items(dynamodb, f"{application}-CoordinatorState")
    assert (item["key"]["S"], item["cv"]["S"]) == ("Migration3.0", "CLIENT_VERSION_2X")


def test_an_application_that_has_run_is_left_as_it_is(dynamodb: Any, application: str) -> None:
    leases.seed(dynamodb, application, [shard("a")])
    taken = {"leaseKey": {"S": "a"}, "leaseOwner": {"S": "somebody"}, "leaseCounter": {"N": "7"}}
    dynamodb.put_item(TableName=application, Item=taken)

    leases.seed(dynamodb, application, [shard("a"), shard("b")])

    assert items(dynamodb, application) == [taken]


def test_dynamodb_that_cannot_be_asked_is_named() -> None:
    config = Config(retries={"total_max_attempts": 1}, region_name=REGION)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    nobody = boto3.client("dynamodb", endpoint_url="http://127.0.0.1:9", config=config, **keys)

    with pytest.raises(DaemonSetupError, match="the lease tables of mine cannot be prepared in DynamoDB"):
        leases.seed(nobody, "mine", [])
