"""The projector's tables in DynamoDB: one table, every item written so that writing it again changes nothing.

    key                             item
    payment/<payment id>            how the payment stands; a conditional write by the rank of its status
    contradiction/<payment id>      two final outcomes of one payment: must never be there
    notice/<source>/<lineage>       a repeat, a conflict, a parked record, under its identity
    position/<cycle>/<first>/<account>/<currency>
    place/<stream>/<shard>          how far the shard was read, and how many submissions were counted on the way
    fact/<name>                     which log this is about

There is no transaction over a batch.  Effects come first and places behind them, so a crash repeats effects, and a
repeat changes nothing.  The one thing that is counted, submissions, stands in the item of its place and moves with it.
A place only moves forward: a second projector on the same table finds that out at its first write, and stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import ClientError

from agents.edge.errors import EdgeError
from agents.edge.projector_queries import Counts
from agents.edge.projector_store import FIRST_FINAL_RANK, RANKS, Changes, NoticeKind, NoticeRow, PaymentRow, Status
from agents.edge.reader import Place
from agents.streams import PAYMENTS

KEY: Final = "key"
_Item = dict[str, dict[str, Any]]
_ADVANCE_FINAL: Final = "attribute_not_exists(#key) OR #rank < :rank"
_ADVANCE: Final = "attribute_not_exists(#key) OR (#rank < :rank AND #rank < :first_final)"
"""A payment that has ended is looked at before it ends again: the contradiction is written first."""
_MOVE: Final = "attribute_not_exists(#key) OR #after < :after OR (#after = :after AND #ended <> :ended)"
_BATCH_MAX: Final = 25
"""Items of one BatchWriteItem."""


class DynamoTables:
    """A ``ProjectorTables`` in one DynamoDB table, whose partition key is the string attribute ``key``."""

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - boto3's clients have no types
        self._client = client
        self._table = table
        self._submissions: Mapping[str, int] = {}

    def create(self) -> None:
        """Create the table, unless it is there, and wait until it can be used."""
        try:
            self._client.create_table(
                TableName=self._table,
                AttributeDefinitions=[{"AttributeName": KEY, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
        except self._client.exceptions.ResourceInUseException:
            return
        self._client.get_waiter("table_exists").wait(TableName=self._table)

    # ------------------------------------------------------------------------------------------------------ writing

    @contextmanager
    def batch(self, changes: Changes) -> Iterator[None]:
        """Write the effects of ``changes``; then the places that are stored inside the block, with their counts."""
        for payment in changes.payments:
            self._advance(payment)
        self._put_all([_notice(notice) for notice in changes.notices])
        self._put_all([_position(*position) for position in changes.positions])
        self._submissions = changes.submissions
        yield
        self._submissions = {}

    def require_fact(self, name: str, value: str) -> None:
        """Raise ``EdgeError`` if something else than ``value`` was said of ``name`` before."""
        kept = self._keep({KEY: _text(f"fact/{name}"), "value": _text(value)})
        if kept and kept["value"]["S"] != value:
            raise EdgeError(
                f"table {self._table} was made with {name} = {kept['value']['S']}, not {value}; use another table"
            )

    def places(self, stream: str) -> dict[str, Place]:
        """Return the place of every shard of ``stream``."""
        prefix = f"place/{stream}/"
        return {
            item[KEY]["S"].removeprefix(prefix): Place(int.from_bytes(item["after"]["B"], "big"), item["ended"]["BOOL"])
            for item in self._scan(prefix)
        }

    def store_places(self, stream: str, moved: Mapping[str, Place]) -> None:
        """Move places forward, with what was submitted on the way there."""
        counted = self._submissions if stream == PAYMENTS else {}
        for shard_id, place in moved.items():
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key={KEY: _text(f"place/{stream}/{shard_id}")},
                    UpdateExpression="SET #after = :after, #ended = :ended ADD #count :count",
                    ConditionExpression=_MOVE,
                    ExpressionAttributeNames={"#key": KEY, "#after": "after", "#ended": "ended", "#count": "count"},
                    ExpressionAttributeValues={
                        ":after": {"B": place.packed},
                        ":ended": {"BOOL": place.ended},
                        ":count": _number(counted.get(shard_id, 0)),
                    },
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                raise EdgeError(
                    f"table {self._table}: {stream}/{shard_id} was read further than {place.after} already: "
                    "another projector writes this table; stop one of them"
                ) from error

    def _advance(self, payment: PaymentRow) -> None:
        """Write how a payment stands, unless it stands further already; what is not said now stays as it was."""
        kept = self._update(payment, _ADVANCE)
        if kept is not None and self._contradicts(payment, kept):
            key = _text(f"contradiction/{payment.payment_id}")
            self._keep({KEY: key, "status": kept["status"], "other": _text(payment.status)})
            self._update(payment, _ADVANCE_FINAL)

    def _update(self, payment: PaymentRow, condition: str) -> _Item | None:
        """Write a payment's item if ``condition`` holds of what is there; otherwise return that."""
        said = _standing(payment)
        values = {":first_final": _number(FIRST_FINAL_RANK)} if ":first_final" in condition else {}
        try:
            self._client.update_item(
                TableName=self._table,
                Key={KEY: _text(f"payment/{payment.payment_id}")},
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in said),
                ConditionExpression=condition,
                ExpressionAttributeNames={"#key": KEY, **{f"#{name}": name for name in said}},
                ExpressionAttributeValues={**values, **{f":{name}": value for name, value in said.items()}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            kept: _Item = refused.response["Item"]
            return kept
        return None

    @staticmethod
    def _contradicts(payment: PaymentRow, kept: _Item) -> bool:
        """Say whether a payment that has ended ends again, in another record."""
        both_final = min(RANKS[payment.status], int(kept["rank"]["N"])) >= FIRST_FINAL_RANK
        same = (kept["source"]["B"], kept["lineage"]["B"]) == (payment.heading.source, payment.heading.lineage)
        return both_final and not same

    def _keep(self, item: _Item) -> _Item | None:
        """Put an item unless there is one under its key; return what was there."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": KEY},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            kept: _Item = refused.response["Item"]
            return kept
        return None

    def _put_all(self, items: list[_Item]) -> None:
        """Put items that are the same whenever they are written."""
        by_key = {item[KEY]["S"]: item for item in items}
        left: list[dict[str, Any]] = [{"PutRequest": {"Item": item}} for item in by_key.values()]
        while left:
            portion, left = left[:_BATCH_MAX], left[_BATCH_MAX:]
            done = self._client.batch_write_item(RequestItems={self._table: portion})
            left = done.get("UnprocessedItems", {}).get(self._table, []) + left

    # ------------------------------------------------------------------------------------------------------ reading

    def payment(self, payment_id: str) -> Mapping[str, Any] | None:
        """Return how a payment stands - status, reason, detail, minor, currency, cycle, times - or None."""
        found = self._client.get_item(
            TableName=self._table, Key={KEY: _text(f"payment/{payment_id}")}, ConsistentRead=True
        )
        item = found.get("Item")
        return None if item is None else _plain(item)

    def counts(self) -> Counts:
        """Return how many submissions there are of each ending; reads the whole table, for reports and tests."""
        statuses = Counter(item["status"]["S"] for item in self._scan("payment/"))
        notices = Counter(item["kind"]["S"] for item in self._scan("notice/") if item["submission"]["BOOL"])
        return Counts(
            submitted=sum(int(item["count"]["N"]) for item in self._scan(f"place/{PAYMENTS}/")),
            settled=statuses[Status.SETTLED],
            rejected=statuses[Status.REJECTED] + statuses[Status.EXPIRED],
            held=statuses[Status.HELD],
            repeated=notices[NoticeKind.REPEATED],
            conflicts=notices[NoticeKind.CONFLICT],
            parked=notices[NoticeKind.PARKED],
            limbo=statuses[Status.UNKNOWN],
        )

    def contradictions(self) -> list[tuple[str, str, str]]:
        """Return (payment id, status, other status) of payments that ended twice; anything here is an alarm."""
        prefix = "contradiction/"
        items = self._scan(prefix)
        return sorted((item[KEY]["S"].removeprefix(prefix), item["status"]["S"], item["other"]["S"]) for item in items)

    def close(self) -> None:
        """Do nothing: a client has nothing to give back."""

    def _scan(self, prefix: str) -> Iterator[_Item]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="begins_with(#key, :prefix)",
            ExpressionAttributeNames={"#key": KEY},
            ExpressionAttributeValues={":prefix": _text(prefix)},
        )
        try:
            for page in pages:
                yield from page["Items"]
        except ClientError as error:
            raise EdgeError(f"table {self._table} cannot be read: {error}") from error


def _standing(payment: PaymentRow) -> _Item:
    source, lineage, arrival_us = payment.heading
    item: _Item = {
        "rank": _number(RANKS[payment.status]),
        "status": _text(payment.status),
        "reason": _text(payment.reason),
        "detail": _text(payment.detail),
        "ended_us": _number(arrival_us),
        "source": {"B": source},
        "lineage": {"B": lineage},
    }
    numbers = {"minor": payment.minor, "cycle": payment.cycle, "accepted_us": payment.accepted_us}
    texts = {
        "currency": payment.currency,
        "debtor_settlement_account": payment.debtor_settlement_account,
        "creditor_settlement_account": payment.creditor_settlement_account,
    }
    item |= {name: _number(value) for name, value in numbers.items() if value is not None}
    return item | {name: _text(value) for name, value in texts.items() if value is not None}


def _notice(notice: NoticeRow) -> _Item:
    source, lineage, arrival_us = notice.heading
    return {
        KEY: _text(f"notice/{source.hex()}/{lineage.hex()}"),
        "kind": _text(notice.kind),
        "payment_id": _text(notice.payment_id),
        "of": _text(notice.of),
        "reason": _text(notice.reason),
        "submission": {"BOOL": notice.submission},
        "arrival_us": _number(arrival_us),
    }


def _position(cycle: int, first: bytes, account: str, currency: str, net_minor: int) -> _Item:
    return {
        KEY: _text(f"position/{cycle}/{first.hex()}/{account}/{currency}"),
        "cycle": _number(cycle),
        "account": _text(account),
        "currency": _text(currency),
        "net_minor": _number(net_minor),
    }


def _text(value: str) -> dict[str, str]:
    return {"S": value}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


_PLAIN: Final[Mapping[str, Callable[[Any], object]]] = {"S": str, "N": int, "B": bytes, "BOOL": bool}


def _plain(item: _Item) -> dict[str, object]:
    """Return an item's attributes as Python has them."""
    return {name: _PLAIN[kind](value) for name, attribute in item.items() for kind, value in attribute.items()}
