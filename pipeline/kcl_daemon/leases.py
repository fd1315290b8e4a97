"""Gives a new application its leases, so that its first record comes after 8 s rather than 30 to 52.

KCL waits at random, long, while its lease table is empty.  So the table is made here, as KCL would make it, with an
unowned lease for each shard that was not born of another: those are found by KCL when their parents end.  Nothing is
touched in a table that has a lease: whoever has run this application knows better.

Several may do this at the same time: the table is made once, and an item only where there is none.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.kcl_daemon.errors import DaemonSetupError
from pipeline.observe.logging import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.ports import ShardDescription

_log = logging.getLogger(__name__)
_KEY = "leaseKey"
_OWNER = "leaseOwner"


def seed(dynamodb: Any, application: str, shards: Sequence[ShardDescription]) -> None:  # noqa: ANN401 - boto3's clients have no types
    """Make the lease table of ``application`` for the shards of its stream; ``DaemonSetupError`` if that fails."""
    try:
        _create(dynamodb, application)
        if dynamodb.scan(TableName=application, Limit=1, ConsistentRead=True)["Items"]:
            return
        listed = {shard.shard_id for shard in shards}
        roots = [shard for shard in shards if not listed.intersection(shard.parents)]
        for shard in roots:
            _put(dynamodb, application, shard)
    except (BotoCoreError, ClientError) as error:
        raise DaemonSetupError(f"the lease table {application} cannot be prepared in DynamoDB: {error}") from error
    _log.info("leases made for %d shards", len(roots), extra=about(application=application))


def _create(dynamodb: Any, application: str) -> None:  # noqa: ANN401
    with suppress(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(
            TableName=application,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": _KEY, "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": _KEY, "AttributeType": "S"},
                {"AttributeName": _OWNER, "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "LeaseOwnerToLeaseKeyIndex",
                    "KeySchema": [
                        {"AttributeName": _OWNER, "KeyType": "HASH"},
                        {"AttributeName": _KEY, "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
    dynamodb.get_waiter("table_exists").wait(TableName=application, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def _put(dynamodb: Any, application: str, shard: ShardDescription) -> None:  # noqa: ANN401
    item = {
        _KEY: {"S": shard.shard_id},
        "leaseCounter": {"N": "0"},
        "checkpoint": {"S": "TRIM_HORIZON"},
        "checkpointSubSequenceNumber": {"N": "0"},
        "ownerSwitchesSinceCheckpoint": {"N": "0"},
        "startingHashKey": {"S": str(shard.hash_range.first)},
        "endingHashKey": {"S": str(shard.hash_range.last)},
    }
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(TableName=application, Item=item, ConditionExpression=f"attribute_not_exists({_KEY})")
