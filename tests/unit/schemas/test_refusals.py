"""What breaks a rule is refused by both sides for the same reason, and the reason gives nothing away."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, edge
from schemas.errors import InvalidEventError, UndecodableEventError
from schemas.events import CAP_MINOR_MAX, CYCLE_MAX, TIME_US_MAX, CreditTransfer, PaymentSubmitted
from schemas.money import AMOUNT_MINOR_MAX
from tests.golden.examples import EXAMPLE_OF_TYPE
from tests.unit.schemas.any_event import Path, as_map, as_mapping, with_value

IBAN = "DE89 3704 0044 0532 0130 00"
BROKEN_RULES: tuple[tuple[str, Path, Any, str], ...] = (
    ("PaymentSubmitted", ("transfer", "amount", "minor"), 0, f"an amount is from 1 to {AMOUNT_MINOR_MAX} minor units"),
    ("PaymentSubmitted", ("transfer", "amount", "minor"), -5, "minor units, not -5"),
    ("PaymentSubmitted", ("transfer", "amount", "minor"), AMOUNT_MINOR_MAX + 1, "minor units, not"),
    ("PaymentSubmitted", ("transfer", "amount", "currency"), "XTS", "unknown currency 'XTS'; supported: EUR, GBP"),
    ("PaymentSubmitted", ("transfer", "debtor", "agent"), "nobody", "not a BIC: 'nobody'"),
    ("PaymentSubmitted", ("transfer", "debtor", "account"), "", "account token has 0 characters, not 1 to 64"),
    ("PaymentSubmitted", ("transfer", "debtor", "account"), IBAN, "printable ASCII without spaces: 'DE89 3'..."),
    ("PaymentSubmitted", ("transfer", "creditor", "agent"), "55779911", "not a BIC: '557799'..."),
    ("PaymentSubmitted", ("transfer", "uetr"), "0F8FAD5B-D9CB-469F-A165-70867728950E", "not a UETR: '0F8FAD'..."),
    ("PaymentSubmitted", ("transfer", "uetr"), "0f8fad5b-d9cb-169f-a165-70867728950e", "not a UETR"),
    ("PaymentSubmitted", ("transfer", "payment_id"), "p" * 65, "payment id has 65 characters, not 1 to 64"),
    ("PaymentSubmitted", ("transfer", "transaction_id"), "T\n1", "transaction id has characters other than"),
    ("PaymentSubmitted", ("transfer", "end_to_end_id"), "", "end-to-end id has 0 characters"),
    ("PaymentSubmitted", ("transfer", "reference"), "x" * 141, "reference has 141 characters, at most 140"),
    ("PaymentSubmitted", ("transfer", "accepted_us"), 0, f"accepted_us is from 1 to {TIME_US_MAX}, not 0"),
    ("PaymentSubmitted", ("transfer", "accepted_us"), TIME_US_MAX + 1, "accepted_us is from 1"),
    ("ParticipantAnswered", ("responder",), "BANK", "not a BIC: 'BANK'"),
    ("ParticipantAnswered", ("settlement_account",), "", "settlement account has 0 characters"),
    ("ParticipantAnswered", ("reason",), "", "reason of a rejection has 0 characters"),
    ("ParticipantAnswered", ("accepted",), True, "an acceptance has no reason"),
    ("ParticipantAnswered", ("answered_us",), (1 << 63), "answered_us is from 1"),
    ("ParticipantListed", ("settles_through",), "", "not a BIC: ''"),
    ("ParticipantListed", ("schemes",), ["s"] * 17, "a participant has at most 16 schemes, not 17"),
    ("ParticipantListed", ("schemes",), ["two words"], "name of a scheme has characters other than"),
    ("ParticipantListed", ("caps",), {"XTS": 1}, "a cap in an unknown currency: 'XTS'"),
    ("ParticipantListed", ("caps", "EUR"), -1, f"cap in EUR is from 0 to {CAP_MINOR_MAX}, not -1"),
    ("ParticipantAvailabilityChanged", ("bic",), "x", "not a BIC: 'x'"),
    ("CutOffScheduled", ("cycle",), -1, f"cycle is from 0 to {CYCLE_MAX}, not -1"),
    ("CutOffScheduled", ("cycle",), CYCLE_MAX + 1, "cycle is from 0"),
    ("CutOffScheduled", ("at_us",), 0, "at_us is from 1"),
    ("CycleSettled", ("cycle",), -1, "cycle is from 0"),
)


@pytest.mark.parametrize(("name", "path", "value", "reason"), BROKEN_RULES)
def test_what_breaks_a_rule_is_refused_by_both_with_the_rule(name: str, path: Path, value: Any, reason: str) -> None:
    example = EXAMPLE_OF_TYPE[edge.NAMED_EVENTS[name]]

    told_inside = reason_inside(example, with_value(as_map(example), path, value))
    told_at_the_edge = reason_at_the_edge(example, with_value(as_mapping(example), path, value))

    assert reason in told_inside
    assert told_inside == f"{name}: {told_at_the_edge}"


HALF_A_PAIR = "\ud800"


def test_half_of_a_surrogate_pair_is_no_text_on_either_side() -> None:
    example = EXAMPLE_OF_TYPE[PaymentSubmitted]
    kind, version, body = codec.encode(example)
    halved = body.replace("請".encode(), HALF_A_PAIR.encode("utf-8", "surrogatepass"))

    assert len(halved) == len(body)
    with pytest.raises(UndecodableEventError, match=r"^PaymentSubmitted: transfer.reference: text that is not UTF-8$"):
        codec.decode(kind, version, halved)
    spoilt = with_value(as_mapping(example), ("transfer", "reference"), HALF_A_PAIR)
    assert reason_at_the_edge(example, spoilt) == "half of a surrogate pair is no text"
    with pytest.raises(InvalidEventError, match="not JSON: "):
        edge.read(b'{"payment_id":"\\ud800"}', CreditTransfer)


@settings(max_examples=200, deadline=None)
@given(
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ é", min_size=7),
    st.sampled_from(["account", "agent", "uetr", "currency"]),
)
def test_no_reason_repeats_what_may_be_an_account_number(value: str, field: str) -> None:
    example = EXAMPLE_OF_TYPE[PaymentSubmitted]
    paths: dict[str, Path] = {
        "account": ("transfer", "debtor", "account"),
        "agent": ("transfer", "creditor", "agent"),
        "uetr": ("transfer", "uetr"),
        "currency": ("transfer", "amount", "currency"),
    }
    spoilt = with_value(as_map(example), paths[field], value + "\n")

    reason = reason_inside(example, spoilt)

    assert value not in reason
    assert ascii(value)[1:-1] not in reason
    assert reason.isprintable()
    assert reason.isascii()


def reason_inside(example: object, mapping: dict[str, Any]) -> str:
    kind, version, _ = codec.encode(example)
    with pytest.raises(UndecodableEventError) as refused:
        codec.decode(kind, version, msgspec.msgpack.encode(mapping))
    return str(refused.value)


def reason_at_the_edge(example: object, mapping: dict[str, Any]) -> str:
    with pytest.raises(InvalidEventError) as refused:
        edge.read(mapping, type(example))
    return str(refused.value)
