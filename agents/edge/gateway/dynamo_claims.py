"""Claims in one DynamoDB table, which any number of gateways share: a claim is a conditional write.

    key                     item
    claim/<claim id>      the claim; ``pending`` as long as the log may not have its record
    document/<id>           a result that was kept
    fact/<name>             which log this is about, and when the table was made

The attribute ``pending`` is the key of a sparse index, so that a start finds what a crash left without a scan.  Claims
of gateways that live are among it now and then: their records are appended twice, and dropped as repeats.  The index
follows the table within moments; what it does not show yet is repaired by the client's retry, which reads the table.

Claims are written side by side, and each of them is one write.  That a record was appended is one more, for which
nobody waits with an answer.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from agents.edge.errors import EdgeError
from agents.edge.gateway.claims import Claim, Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

KEY: Final = "key"
PENDING: Final = "pending"
CALLS_AT_ONCE: Final = 16
TRIES_MAX: Final = 10
"""Of a call that was throttled or not answered; everything here may be done again."""
_Item = dict[str, dict[str, Any]]


class DynamoClaims:
    """A ``ClaimStore`` in one DynamoDB table, whose partition key is the string attribute ``key``."""

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - boto3's clients have no types
        self._client = client
        self._table = table
        self._callers = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="dynamodb")

    @staticmethod
    def config() -> Config:
        """Return what a client for this table is to be made with."""
        return Config(max_pool_connections=CALLS_AT_ONCE, retries={"mode": "standard", "total_max_attempts": TRIES_MAX})

    def create(self) -> None:
        """Create the table and its index, unless they are there, and wait until they can be used."""
        try:
            self._client.create_table(
                TableName=self._table,
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (KEY, PENDING)],
                KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
                GlobalSecondaryIndexes=[
                    {
                        "IndexName": PENDING,
                        "KeySchema": [{"AttributeName": PENDING, "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    }
                ],
                BillingMode="PAY_PER_REQUEST",
            )
        except self._client.exceptions.ResourceInUseException:
            pass
        except (BotoCoreError, ClientError) as error:
            raise self._failed("cannot be made", error) from error
        self._client.get_waiter("table_exists").wait(TableName=self._table, WaiterConfig={"Delay": 1})

    def epoch(self, now_us: int) -> int:
        """Return when the table was made."""
        return int(self._fact("epoch", str(now_us)))

    def require_fact(self, name: str, value: str) -> None:
        """Raise ``EdgeError`` if something else than ``value`` was said of ``name`` before."""
        kept = self._fact(name, value)
        if kept != value:
            raise EdgeError(f"table {self._table} was made with {name} = {kept}, not {value}; use another table")

    def standing(self, claim_ids: Sequence[str]) -> list[Standing | None]:
        """Return what stands under each claim id."""
        return list(self._callers.map(self._find, claim_ids))

    def claim(self, wanted: Sequence[Claim], appended: Collection[str]) -> list[Standing]:
        """Claim side by side; return what stands for each."""
        marked = [self._callers.submit(self._mark, claim_id) for claim_id in appended]
        standing = list(self._callers.map(self._claim, wanted))
        for each in marked:
            each.result()
        return standing

    def unappended(self) -> Iterator[Claim]:
        """Return the claims that the index shows as pending."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=PENDING,
            KeyConditionExpression="#pending = :pending",
            ExpressionAttributeNames={"#pending": PENDING},
            ExpressionAttributeValues={":pending": {"S": PENDING}},
        )
        try:
            keys = [item[KEY]["S"].partition("/")[2] for page in pages for item in page["Items"]]
        except (BotoCoreError, ClientError) as error:
            raise self._failed("cannot be read", error) from error
        for standing in self.standing(keys):
            if standing is not None and not standing.appended:
                yield standing.claim

    def keep(self, document_id: str, content: bytes) -> bytes:
        """Keep what came first under an id, and return that."""
        if self._put_first({KEY: {"S": f"document/{document_id}"}, "content": {"B": content}}):
            return content
        return self.kept(document_id) or content

    def kept(self, document_id: str) -> bytes | None:
        """Return what was kept under an id."""
        item = self._item(f"document/{document_id}")
        return None if item is None else bytes(item["content"]["B"])

    def close(self) -> None:
        """Give the threads back."""
        self._callers.shutdown()

    def _claim(self, claim: Claim) -> Standing:
        item = {KEY: {"S": f"claim/{claim.claim_id}"}, PENDING: {"S": PENDING}, **_attributes(claim)}
        if self._put_first(item):
            return Standing(claim, appended=False)
        standing = self._find(claim.claim_id)
        if standing is None:
            raise EdgeError(f"table {self._table}: the claim of {claim.claim_id} was there and is gone")
        return standing

    def _mark(self, claim_id: str) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key={KEY: {"S": f"claim/{claim_id}"}},
                UpdateExpression="REMOVE #pending",
                ConditionExpression="attribute_exists(#key)",
                ExpressionAttributeNames={"#pending": PENDING, "#key": KEY},
            )
        except (BotoCoreError, ClientError) as error:
            raise self._failed("cannot be written", error) from error

    def _find(self, claim_id: str) -> Standing | None:
        item = self._item(f"claim/{claim_id}")
        return None if item is None else Standing(_claim_of(claim_id, item), PENDING not in item)

    def _fact(self, name: str, value: str) -> str:
        key = f"fact/{name}"
        if self._put_first({KEY: {"S": key}, "value": {"S": value}}):
            return value
        kept = self._item(key)
        return value if kept is None else str(kept["value"]["S"])

    def _put_first(self, item: _Item) -> bool:
        """Put an item unless there is one under its key; say whether there was none."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": KEY},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        except (BotoCoreError, ClientError) as error:
            raise self._failed("cannot be written", error) from error
        return True

    def _item(self, key: str) -> _Item | None:
        try:
            found = self._client.get_item(TableName=self._table, Key={KEY: {"S": key}}, ConsistentRead=True)
        except (BotoCoreError, ClientError) as error:
            raise self._failed("cannot be read", error) from error
        item: _Item | None = found.get("Item")
        return item

    def _failed(self, what: str, error: Exception) -> EdgeError:
        return EdgeError(f"table {self._table} {what}: {error}")


def _attributes(claim: Claim) -> _Item:
    return {
        "tenant": {"S": claim.tenant},
        "client": {"S": claim.client},
        "digest": {"B": claim.digest},
        "received_us": {"N": str(claim.received_us)},
        "verification_id": {"S": claim.verification_id},
        "record": {"B": claim.record},
    }


def _claim_of(claim_id: str, item: _Item) -> Claim:
    return Claim(
        claim_id,
        item["tenant"]["S"],
        item["client"]["S"],
        item["digest"]["B"],
        int(item["received_us"]["N"]),
        item["verification_id"]["S"],
        item["record"]["B"],
    )
