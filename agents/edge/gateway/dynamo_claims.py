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

from typing import TYPE_CHECKING, Final

from agents.edge.dynamo_table import DYNAMODB_ERRORS, KEY, DynamoTable, Item
from agents.edge.errors import EdgeError
from agents.edge.gateway.claims import Claim, Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

PENDING: Final = "pending"


class DynamoClaims(DynamoTable):
    """A ``ClaimStore`` in one DynamoDB table."""

    indexes = (PENDING,)

    def epoch(self, now_us: int) -> int:
        """Return when the table was made."""
        return int(self._fact("epoch", str(now_us)))

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
        except DYNAMODB_ERRORS as error:
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
        except DYNAMODB_ERRORS as error:
            raise self._failed("cannot be written", error) from error

    def _find(self, claim_id: str) -> Standing | None:
        item = self._item(f"claim/{claim_id}")
        return None if item is None else Standing(_claim_of(claim_id, item), PENDING not in item)


def _attributes(claim: Claim) -> Item:
    return {
        "tenant": {"S": claim.tenant},
        "client": {"S": claim.client},
        "digest": {"B": claim.digest},
        "received_us": {"N": str(claim.received_us)},
        "verification_id": {"S": claim.verification_id},
        "record": {"B": claim.record},
    }


def _claim_of(claim_id: str, item: Item) -> Claim:
    return Claim(
        claim_id,
        item["tenant"]["S"],
        item["client"]["S"],
        item["digest"]["B"],
        int(item["received_us"]["N"]),
        item["verification_id"]["S"],
        item["record"]["B"],
    )
