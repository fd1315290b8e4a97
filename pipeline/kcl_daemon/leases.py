"""Gives a new application its leases, and says how KCL's daemons share them.

**Leases.** KCL waits at random, long, while its lease table is empty: a first record comes after 30 to 52 s, and after
8 s if the leases are there.  So the table is made here, as KCL would make it, with an unowned lease for each shard that
was not born of another: those are found by KCL when their parents end.  Nothing is touched in a table that has a lease:
whoever has run this application knows better.

**Who takes what.** In KCL 3 a leader hands the leases out, and it leads by a lock of 120 s that no setting shortens.
If the leader dies, whatever else died with it belongs to nobody until the lock runs out: 112 s were measured.  In KCL 2
each daemon takes for itself what it finds expired, and KCL 3 still does so for an application that was rolled back to
it.  So the table of KCL's coordinator says, before a daemon ever reads it, that this one was.

Several may do this at the same time: a table is made once, and an item only where there is none.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.kcl_daemon.errors import DaemonSetupError
from pipeline.observe.logging import about

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.ports import ShardDescription

_log = logging.getLogger(__name__)
_KEY = "leaseKey"
_OWNER = "leaseOwner"
_COORDINATOR_KEY = "key"
_EACH_DAEMON_TAKES_ITS_LEASES = {
    _COORDINATOR_KEY: {"S": "Migration3.0"},
    "cv": {"S": "CLIENT_VERSION_2X"},
    "mb": {"S": "payments worker"},
    "mts": {"N": "0"},
    "h": {"L": []},
}
"""The item that AWS's KclMigrationTool leaves behind a rollback; who made it, when, and what was before."""


def seed(dynamodb: Any, application: str, shards: Sequence[ShardDescription]) -> None:  # noqa: ANN401 - boto3's clients have no types
    """Make the tables of ``application`` for the shards of its stream; ``DaemonSetupError`` if that fails."""
    try:
        _coordinate(dynamodb, f"{application}-CoordinatorState")
        _create(dynamodb, application)
        if dynamodb.scan(TableName=application, Limit=1, ConsistentRead=True)["Items"]:
            return
        listed = {shard.shard_id for shard in shards}
        roots = [shard for shard in shards if not listed.intersection(shard.parents)]
        for shard in roots:
            _put(dynamodb, application, _KEY, _lease(shard))
    except (BotoCoreError, ClientError) as error:
        raise DaemonSetupError(f"the lease tables of {application} cannot be prepared in DynamoDB: {error}") from error
    _log.info("leases made for %d shards", len(roots), extra=about(application=application))


def _create(dynamodb: Any, application: str) -> None:  # noqa: ANN401
    index = {
        "IndexName": "LeaseOwnerToLeaseKeyIndex",
        "KeySchema": [
            {"AttributeName": _OWNER, "KeyType": "HASH"},
            {"AttributeName": _KEY, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    _table(dynamodb, application, _KEY, AttributeDefinitions=_strings(_KEY, _OWNER), GlobalSecondaryIndexes=[index])


def _coordinate(dynamodb: Any, table: str) -> None:  # noqa: ANN401
    _table(dynamodb, table, _COORDINATOR_KEY, AttributeDefinitions=_strings(_COORDINATOR_KEY))
    _put(dynamodb, table, _COORDINATOR_KEY, _EACH_DAEMON_TAKES_ITS_LEASES)


def _table(dynamodb: Any, name: str, key: str, **more: object) -> None:  # noqa: ANN401
    schema = [{"AttributeName": key, "KeyType": "HASH"}]
    with suppress(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=schema, **more)
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def _strings(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def _lease(shard: ShardDescription) -> dict[str, dict[str, str]]:
    return {
        _KEY: {"S": shard.shard_id},
        "leaseCounter": {"N": "0"},
        "checkpoint": {"S": "TRIM_HORIZON"},
        "checkpointSubSequenceNumber": {"N": "0"},
        "ownerSwitchesSinceCheckpoint": {"N": "0"},
        "startingHashKey": {"S": str(shard.hash_range.first)},
        "endingHashKey": {"S": str(shard.hash_range.last)},
    }


def _put(dynamodb: Any, table: str, key: str, item: Mapping[str, object]) -> None:  # noqa: ANN401
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": key},
        )
