"""The projector's tables in DynamoDB: one table, every item written so that writing it again changes nothing.

    key                             item
    payment/<payment id>            how the payment stands; a conditional write by the rank of its status
    contradiction/<payment id>      two final outcomes of one payment: must never be there
    notice/<source>/<lineage>       a repeat, a conflict, a parked record, under its identity
    recall/<payment id>             what was answered to the recall of it
    position/<cycle>/<first>/<account>/<currency>
    place/<stream>/<shard>          how far the shard was read, and how many submissions were counted on the way
    fact/<name>                     which log this is about

There is no transaction over a batch.  Effects come first and places behind them, so a crash repeats effects, and a
repeat changes nothing.  The one thing that is counted, submissions, stands in the item of its place and moves with it.
A place only moves forward: a second projector on the same table finds that out at its first write, and stops.

A write takes milliseconds, most of them waiting, so payments are written side by side; two outcomes of one payment one
after the other.  Nearly always an outcome is the first that is told of its payment, and takes one write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config

from agents.edge.dynamo_table import DYNAMODB_ERRORS, KEY, DynamoTable, Item
from agents.edge.errors import EdgeError
from agents.edge.projector_store import FIRST_FINAL_RANK, RANKS, Changes, NoticeKind, NoticeRow, PaymentRow
from agents.edge.reader import Place
from agents.streams import PAYMENTS

_ADVANCE_FINAL: Final = "attribute_not_exists(#key) OR #rank < :rank"
_ADVANCE: Final = "attribute_not_exists(#key) OR (#rank < :rank AND #rank < :first_final)"
"""A payment that has ended is looked at before it ends again: the contradiction is written first."""
_MOVE: Final = "attribute_not_exists(#key) OR #after < :after OR (#after = :after AND #ended <> :ended)"
_BATCH_MAX: Final = 25
"""Items of one BatchWriteItem."""


class DynamoTables(DynamoTable):
    """A ``ProjectorTables`` in one DynamoDB table."""

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - boto3's clients have no types
        super().__init__(client, table)
        self._submissions: Mapping[str, int] = {}

    @staticmethod
    def config() -> Config:
        """Return what a client for these tables is to be made with."""
        unvalidated = Config(parameter_validation=False)  # a quarter of what a write costs; they are all made here
        return DynamoTable.config().merge(unvalidated)

    # ------------------------------------------------------------------------------------------------------ writing

    @contextmanager
    def batch(self, changes: Changes) -> Iterator[None]:
        """Write the effects of ``changes``; then the places that are stored inside the block, with their counts."""
        recalls = (_recall(notice) for notice in changes.notices if notice.kind is NoticeKind.RECALLED)
        positions = (_position(*position) for position in changes.positions)
        items = [*map(_notice, changes.notices), *recalls, *positions]
        work = [self._callers.submit(self._advance, outcomes) for outcomes in _by_payment(changes.payments)]
        work += [self._callers.submit(self._put, portion) for portion in _portions(items)]
        for written in work:
            written.result()
        self._submissions = changes.submissions
        yield
        self._submissions = {}

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
            done = self._write_if(
                self._client.update_item,
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
            if not done:
                raise EdgeError(
                    f"table {self._table}: {stream}/{shard_id} was read further than {place.after} already: "
                    "another projector writes this table; stop one of them"
                )

    def _advance(self, outcomes: Sequence[PaymentRow]) -> None:
        """Write how a payment stands, unless it stands further already; what is not said now stays as it was."""
        for payment in outcomes:
            key = f"payment/{payment.payment_id}"
            kept = self._keep({KEY: _text(key), **_standing(payment)})
            if kept is None or self._update(payment, _ADVANCE):
                continue
            kept = self._item(key) or kept
            if _contradicts(payment, kept):
                contradiction = {"status": kept["status"], "other": _text(payment.status)}
                self._keep({KEY: _text(f"contradiction/{payment.payment_id}"), **contradiction})
                self._update(payment, _ADVANCE_FINAL)

    def _update(self, payment: PaymentRow, condition: str) -> bool:
        """Write what is said of a payment if ``condition`` holds of what is there; say whether it did."""
        said = _standing(payment)
        values = {":first_final": _number(FIRST_FINAL_RANK)} if ":first_final" in condition else {}
        return self._write_if(
            self._client.update_item,
            Key={KEY: _text(f"payment/{payment.payment_id}")},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in said),
            ConditionExpression=condition,
            ExpressionAttributeNames={"#key": KEY, **{f"#{name}": name for name in said}},
            ExpressionAttributeValues={**values, **{f":{name}": value for name, value in said.items()}},
        )

    def _put(self, items: Sequence[Item]) -> None:
        """Put items that are the same whenever they are written."""
        left: list[dict[str, Any]] = [{"PutRequest": {"Item": item}} for item in items]
        while left:
            try:
                done = self._client.batch_write_item(RequestItems={self._table: left})
            except DYNAMODB_ERRORS as error:
                raise self._failed("cannot be written", error) from error
            left = done.get("UnprocessedItems", {}).get(self._table, [])

    # ------------------------------------------------------------------------------------------------------ reading

    def payment(self, payment_id: str) -> Mapping[str, object] | None:
        """Return how a payment stands - status, reason, detail, minor, currency, cycle, times - or None."""
        item = self._item(f"payment/{payment_id}")
        return None if item is None else _plain(item)

    def recalls(self, payment_id: str) -> list[tuple[str, str]]:
        """Return (reason, payment back) of the answer to a recall of a payment; the latter is empty for a no."""
        item = self._item(f"recall/{payment_id}")
        return [] if item is None else [(item["reason"]["S"], item["of"]["S"])]

    def items(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Return every key with its attributes as Python has them; reads the whole table, for reports and tests."""
        for item in self._scan():
            yield item[KEY]["S"], _plain(item)

    def _scan(self, prefix: str = "") -> Iterator[Item]:
        condition = {
            "FilterExpression": "begins_with(#key, :prefix)",
            "ExpressionAttributeNames": {"#key": KEY},
            "ExpressionAttributeValues": {":prefix": _text(prefix)},
        }
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True, **(condition if prefix else {})
        )
        try:
            for page in pages:
                yield from page["Items"]
        except DYNAMODB_ERRORS as error:
            raise self._failed("cannot be read", error) from error


def _by_payment(outcomes: Sequence[PaymentRow]) -> Iterator[Sequence[PaymentRow]]:
    """Return the outcomes payment by payment, each payment's in their order."""
    of_payment: dict[str, list[PaymentRow]] = {}
    for outcome in outcomes:
        of_payment.setdefault(outcome.payment_id, []).append(outcome)
    yield from of_payment.values()


def _portions(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut items into batches that DynamoDB takes, in which each key may stand once."""
    different = list({item[KEY]["S"]: item for item in items}.values())
    for first in range(0, len(different), _BATCH_MAX):
        yield different[first : first + _BATCH_MAX]


def _contradicts(payment: PaymentRow, kept: Item) -> bool:
    """Say whether a payment that has ended ends again, in another record."""
    both_final = min(RANKS[payment.status], int(kept["rank"]["N"])) >= FIRST_FINAL_RANK
    same = (kept["source"]["B"], kept["lineage"]["B"]) == (payment.heading.source, payment.heading.lineage)
    return both_final and not same


def _standing(payment: PaymentRow) -> Item:
    source, lineage, arrival_us = payment.heading
    item: Item = {
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


def _notice(notice: NoticeRow) -> Item:
    source, lineage, arrival_us = notice.heading
    return {
        KEY: _text(f"notice/{source.hex()}/{lineage.hex()}"),
        "source": {"B": source},
        "lineage": {"B": lineage},
        "kind": _text(notice.kind),
        "payment_id": _text(notice.payment_id),
        "of": _text(notice.of),
        "reason": _text(notice.reason),
        "submission": {"BOOL": notice.submission},
        "arrival_us": _number(arrival_us),
    }


def _recall(notice: NoticeRow) -> Item:
    return {KEY: _text(f"recall/{notice.payment_id}"), "reason": _text(notice.reason), "of": _text(notice.of)}


def _position(cycle: int, first: bytes, account: str, currency: str, net_minor: int) -> Item:
    return {
        KEY: _text(f"position/{cycle}/{first.hex()}/{account}/{currency}"),
        "cycle": _number(cycle),
        "first": {"B": first},
        "account": _text(account),
        "currency": _text(currency),
        "net_minor": _number(net_minor),
    }


def _text(value: str) -> dict[str, str]:
    return {"S": value}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


_PLAIN: Final[Mapping[str, Callable[[Any], object]]] = {"S": str, "N": int, "B": bytes, "BOOL": bool}


def _plain(item: Item) -> dict[str, object]:
    """Return an item's attributes as Python has them."""
    return {name: _PLAIN[kind](value) for name, attribute in item.items() for kind, value in attribute.items()}
