"""Whatever a client sends is an order by the scheme's rules or a refusal; its message can be given back whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.edge.gateway.json_orders import read_order
from agents.edge.gateway.orders import ClaimIdentity, Order, transaction_of
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.gateway.xml_orders import read_order as read_xml_order
from agents.edge.messages.contents import draw_content
from agents.edge.workload.draws import Draws
from schemas.identifiers import is_identifier, is_uetr
from schemas.iso20022.conversion import Converted, give_events
from schemas.iso20022.message_name import PACS_008
from schemas.iso20022.messages import read_messages
from schemas.iso20022.validation import validate
from schemas.iso20022.writing import write_message
from schemas.schemes.catalogue import SCHEMES
from tests.unit.gateway.orders_under_test import ANNA, BERT, CARL, RECEIVED_US, a_body, an_order

IDENTITY = ClaimIdentity("hub", "key-1")


def order_of(**changes: Any) -> Order:
    return read_order(a_body(**changes), IDENTITY, RECEIVED_US)


def message_of(order: Order) -> bytes:
    """Return the pacs.008 that an order stands for, from its event and its remainder."""
    return write_message(PACS_008, give_events(PACS_008, Converted((order.transfer("a", "b"),), order.remainder)))


def outcome(read: Callable[[], Order]) -> Order | Problem:
    try:
        return read()
    except Problem as problem:
        return problem


_texts = st.text(max_size=160) | st.sampled_from([ANNA, BERT, CARL, "", "EUR", "GBP", "1.00", "DEUTDEFF"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_paths = st.sampled_from(
    [
        ("amount", "value"),
        ("amount", "currency"),
        ("debtor", "name"),
        ("debtor", "account", "iban"),
        ("debtor", "account", "bban"),
        ("creditor", "agent"),
        ("creditor",),
        ("reference",),
        ("end_to_end_id",),
        ("transaction_id",),
        ("uetr",),
        ("payee_verification",),
        ("anything",),
    ]
)


@given(st.lists(st.tuples(_paths, _json), min_size=1, max_size=3))
def test_any_json_is_an_order_whose_message_is_valid_or_it_is_refused(
    changes: list[tuple[tuple[str, ...], Any]],
) -> None:
    document: Any = an_order()
    for path, value in changes:
        holder = document
        for name in path[:-1]:
            holder = holder[name] if isinstance(holder, dict) and isinstance(holder.get(name), dict) else {}
        holder[path[-1]] = value

    order = outcome(lambda: read_order(json.dumps(document).encode(), IDENTITY, RECEIVED_US))
    if isinstance(order, Problem):
        assert order.kind is Kind.INVALID
        assert ANNA not in order.body().decode()
        return
    scheme = SCHEMES["sct-inst" if order.untold.amount.currency == "EUR" else "fps"]
    assert validate(message_of(order), scheme).violations == ()


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_problem(body: bytes) -> None:
    assert isinstance(outcome(lambda: read_order(body, IDENTITY, RECEIVED_US)), Problem)
    assert isinstance(outcome(lambda: read_xml_order(body, IDENTITY, RECEIVED_US, "")), Problem)


@pytest.mark.parametrize("scheme", ["sct-inst", "fps"])
def test_a_banks_pacs_008_comes_back_element_for_element(scheme: str) -> None:
    taken = 0
    for number in range(60):
        content = draw_content(PACS_008, scheme, Draws(7, scheme, number), RECEIVED_US)
        body = write_message(PACS_008, content)
        order = read_xml_order(body, ClaimIdentity("hub", str(number)), RECEIVED_US, "")
        sent, given_back = read_messages(body)[0].content, read_messages(message_of(order))[0].content
        if "UETR" not in str(sent):
            identity = transaction_of(given_back)["PmtId"]
            assert isinstance(identity, dict)
            del identity["UETR"]
        assert given_back == sent
        taken += 1
    assert taken == 60


def test_what_a_client_leaves_out_follows_from_its_claim() -> None:
    first, later = order_of(), read_order(a_body(), IDENTITY, RECEIVED_US + 5_000_000)
    other = read_order(a_body(), ClaimIdentity("hub", "key-2"), RECEIVED_US)

    assert first.untold.transaction_id == later.untold.transaction_id != other.untold.transaction_id
    assert first.untold.uetr == later.untold.uetr != other.untold.uetr
    assert is_identifier(first.untold.transaction_id)
    assert is_uetr(first.untold.uetr)
    assert (first.untold.accepted_us, later.untold.accepted_us) == (RECEIVED_US, RECEIVED_US + 5_000_000)


def test_what_the_gateway_fills_in_is_no_part_of_what_a_retry_must_repeat() -> None:
    later = read_order(a_body(), IDENTITY, RECEIVED_US + 5_000_000)

    assert order_of().digest("a", "b") == later.digest("a", "b")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"value": "12.51", "currency": "EUR"}},
        {"amount": {"value": "12.50", "currency": "GBP"}},
        {"reference": "x"},
        {"end_to_end_id": "E1"},
        {"transaction_id": "T1"},
        {"uetr": "0f8fad5b-d9cb-469f-a165-70867728950e"},
        {"payee_verification": "vop_000000000000000000000001"},
        {"debtor": CARL},
        {"creditor": CARL},
    ],
    ids=str,
)
def test_everything_that_a_client_says_is_part_of_what_a_retry_must_repeat(change: dict[str, Any]) -> None:
    def digest(order: Order) -> bytes:
        return order.digest(f"token of {order.debtor_number}", f"token of {order.creditor_number}")

    assert digest(order_of(**change)) != digest(order_of())


def test_debtor_and_creditor_are_not_the_same_the_other_way_round() -> None:
    order = order_of()

    assert order.digest("a", "b") != order.digest("b", "a")
    assert order.digest("a", "bc") != order.digest("ab", "c")


@pytest.mark.parametrize(
    "reference",
    [f"from {ANNA}", f"to {BERT.lower()}", "DE02 1203 0000 0000 2020 51", "12-34-56 12345678", f"x{CARL}y {CARL}"],
)
def test_a_reference_that_gives_a_number_away_stays_in_the_vault(reference: str) -> None:
    order = order_of(reference=reference)

    assert order.untold.reference == ""
    assert reference in message_of(order).decode()


@pytest.mark.parametrize("number", ["00000012345678", "1"])
def test_an_identifier_may_not_be_a_number_of_the_orders_own(number: str) -> None:
    debtor = an_order()["debtor"] | {"account": {"bban": number}}
    amount = {"value": "1.00", "currency": "GBP"}

    for identifier in (number, f"X-{number}" if len(number) > 1 else number):
        document = an_order() | {"debtor": debtor, "end_to_end_id": identifier, "amount": amount}
        with pytest.raises(Problem, match="holds an account number"):
            read_order(json.dumps(document).encode(), IDENTITY, RECEIVED_US)


def test_a_very_short_number_may_be_in_an_identifier_by_chance() -> None:
    debtor = an_order()["debtor"] | {"account": {"bban": "1"}}
    amount = {"value": "1.00", "currency": "GBP"}
    document = an_order() | {"debtor": debtor, "end_to_end_id": "E2E-1", "amount": amount}

    assert read_order(json.dumps(document).encode(), IDENTITY, RECEIVED_US).debtor_number == "BBAN:1"


def test_an_ordinary_reference_is_part_of_the_event() -> None:
    order = order_of(reference="Rechnung 4711")

    assert order.untold.reference == "Rechnung 4711"
    assert "Rechnung" not in str(order.remainder)


def test_an_order_from_the_future_is_refused() -> None:
    content = draw_content(PACS_008, "sct-inst", Draws(7, "future"), RECEIVED_US + 600_000_000_000)

    with pytest.raises(Problem, match="ahead of the time"):
        read_xml_order(write_message(PACS_008, content), IDENTITY, RECEIVED_US, "")


def test_an_identity_reads_alike_with_no_other() -> None:
    identities = [
        ClaimIdentity("a", "b c"),
        ClaimIdentity("a b", "c"),
        ClaimIdentity("a", "bc"),
        replace(IDENTITY, key="x"),
    ]

    assert len({each.payment_id for each in identities}) == len(identities)
