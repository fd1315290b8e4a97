"""One DynamoDB table of an edge, whose partition key is the string attribute ``key``: what every such table needs.

Everything here may be done again: a table is made unless it is there, an item is put unless its key is taken, and what
is read is what was written last.  An error of DynamoDB's is an ``EdgeError`` that names the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from agents.edge.errors import EdgeError

KEY: Final = "key"
CALLS_AT_ONCE: Final = 16
TRIES_MAX: Final = 10
"""Of a call that was throttled or not answered, by botocore, with growing waits."""
DYNAMODB_ERRORS: Final = (BotoCoreError, ClientError)
Item = dict[str, dict[str, Any]]


class DynamoTable:
    """A table, and the threads that call it side by side."""

    indexes: ClassVar[Sequence[str]] = ()
    """String attributes that some items have: each is the key of a sparse index of these."""

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - boto3's clients have no types
        self._client = client
        self._table = table
        self._callers = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="dynamodb")

    @staticmethod
    def config() -> Config:
        """Return what a client for this table is to be made with."""
        return Config(max_pool_connections=CALLS_AT_ONCE, retries={"mode": "standard", "total_max_attempts": TRIES_MAX})

    def create(self) -> None:
        """Create the table and its indexes, unless they are there, and wait until they can be used."""
        parameters: dict[str, Any] = {
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in (KEY, *self.indexes)],
            "KeySchema": _hashed_by(KEY),
            "BillingMode": "PAY_PER_REQUEST",
        }
        if self.indexes:
            parameters["GlobalSecondaryIndexes"] = [
                {"IndexName": name, "KeySchema": _hashed_by(name), "Projection": {"ProjectionType": "KEYS_ONLY"}}
                for name in self.indexes
            ]
        try:
            self._client.create_table(TableName=self._table, **parameters)
        except self._client.exceptions.ResourceInUseException:
            pass
        except DYNAMODB_ERRORS as error:
            raise self._failed("cannot be made", error) from error
        self._client.get_waiter("table_exists").wait(TableName=self._table, WaiterConfig={"Delay": 1})

    def require_fact(self, name: str, value: str) -> None:
        """Raise ``EdgeError`` if something else than ``value`` was said of ``name`` before."""
        kept = self._fact(name, value)
        if kept != value:
            raise EdgeError(f"table {self._table} was made with {name} = {kept}, not {value}; use another table")

    def close(self) -> None:
        """Give the threads back."""
        self._callers.shutdown()

    def _fact(self, name: str, value: str) -> str:
        """Return what was first said of ``name``; ``value``, durably, if nothing was."""
        kept = self._keep({KEY: {"S": f"fact/{name}"}, "value": {"S": value}})
        return value if kept is None else str(kept["value"]["S"])

    def _keep(self, item: Item) -> Item | None:
        """Put an item unless there is one under its key; return what was there."""
        return None if self._put_first(item) else self._item(item[KEY]["S"])

    def _put_first(self, item: Item) -> bool:
        """Put an item unless there is one under its key; say whether there was none."""
        condition = {"ConditionExpression": "attribute_not_exists(#key)", "ExpressionAttributeNames": {"#key": KEY}}
        return self._write_if(self._client.put_item, Item=item, **condition)

    def _write_if(self, write: Callable[..., object], **parameters: object) -> bool:
        """Write one item; say whether its condition held."""
        try:
            write(TableName=self._table, **parameters)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        except DYNAMODB_ERRORS as error:
            raise self._failed("cannot be written", error) from error
        return True

    def _item(self, key: str) -> Item | None:
        try:
            found = self._client.get_item(TableName=self._table, Key={KEY: {"S": key}}, ConsistentRead=True)
        except DYNAMODB_ERRORS as error:
            raise self._failed("cannot be read", error) from error
        item: Item | None = found.get("Item")
        return item

    def _failed(self, what: str, error: Exception) -> EdgeError:
        return EdgeError(f"table {self._table} {what}: {error}")


def _hashed_by(name: str) -> Sequence[Mapping[str, str]]:
    return [{"AttributeName": name, "KeyType": "HASH"}]
