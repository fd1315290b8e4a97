"""One event of each kind, as the golden file shows it: values that a reader tells apart, and edges where cheap.

What an example has must not change once its bytes are in ``events.json``; a new kind gets a new example.
"""

from __future__ import annotations

from typing import Final

from schemas import events
from schemas.events import CreditTransfer, NetPosition, Party
from schemas.money import AMOUNT_MINOR_MAX, Money

ACCEPTED_US: Final = 1_764_000_000_123_456
DEBTOR: Final = Party("acct_payer", "ALFADEFF")
CREDITOR: Final = Party("acct_payee", "BRAVFRPPXXX")
EURO: Final = Money(12_345, "EUR")
TRANSFER: Final = CreditTransfer(
    payment_id="pay_1",
    transaction_id="TX1",
    end_to_end_id="NOTPROVIDED",
    uetr="0f8fad5b-d9cb-469f-a165-70867728950e",
    debtor=DEBTOR,
    creditor=CREDITOR,
    amount=EURO,
    accepted_us=ACCEPTED_US,
    reference="Grüße, 請求書 7",
)
_HOME: Final = "ALFADEFF/EUR"
_AWAY: Final = "BRAVFRPPXXX/EUR"

EXAMPLES: Final[tuple[object, ...]] = (
    events.PaymentSubmitted(TRANSFER),
    events.AccountCredited("pay_1", DEBTOR, CREDITOR, EURO, settled_us=ACCEPTED_US + 900_000),
    events.PayeeRiskChanged("acct_payee", step=2, expires_us=ACCEPTED_US + 86_400_000_000),
    events.PaymentAuthorised(TRANSFER, "sct-inst", _HOME, _AWAY, score=137),
    events.ParticipantAnswered(
        transaction_id="TX1",
        instructing_agent="ALFADEFF",
        responder="BRAVFRPPXXX",
        settlement_account=_HOME,
        accepted=False,
        reason="AC04",
        answered_us=ACCEPTED_US + 700_000,
    ),
    events.SettlementCredited("pay_1", _AWAY, _HOME, EURO, cycle=17),
    events.AnswerDeadlinePassed("ALFADEFF", "TX1"),
    events.PaymentForwarded(TRANSFER, "sct-inst", _HOME, deadline_us=ACCEPTED_US + 7_000_000),
    events.PaymentConfirmed(
        recipient="BRAVFRPPXXX",
        payment_id="pay_1",
        transaction_id="TX1",
        instructing_agent="ALFADEFF",
        settled=False,
        reason="AB06",
        cycle=-1,
    ),
    events.StatusRequested("BRAVFRPPXXX", "pay_1", "TX1", "ALFADEFF", _HOME),
    events.RecallRequested(
        recall_id="rcl_1",
        recipient="BRAVFRPPXXX",
        payment_id="pay_1",
        transaction_id="TX1",
        end_to_end_id="NOTPROVIDED",
        uetr="0f8fad5b-d9cb-469f-a165-70867728950e",
        instructing_agent="ALFADEFF",
        amount=EURO,
        accepted_us=ACCEPTED_US,
        reason="DUPL",
        requested_us=ACCEPTED_US + 60_000_000,
    ),
    events.PaymentSettled("pay_1", Money(AMOUNT_MINOR_MAX, "GBP"), "ALFAGB2L/GBP", "BRAVGB2L/GBP", 17, ACCEPTED_US),
    events.PaymentRejected("pay_1", "clearing", "AM23", ("over the cap", "by 1.00 EUR"), ACCEPTED_US),
    events.PaymentExpired("pay_1", "AB06", ACCEPTED_US),
    events.PaymentHeld("pay_1", 9_100, (), ACCEPTED_US),
    events.PaymentRepeated("pay_2", of="pay_1"),
    events.PaymentConflicted("pay_3", of="pay_1"),
    events.PaymentUnknown("pay_1", EURO, "BRAVFRPPXXX", since_us=ACCEPTED_US + 9_000_000),
    events.RecallAnswered("pay_1", "rcl_1", "BRAVFRPPXXX", True, "FOCR", "rtn_1", ACCEPTED_US + 86_400_000_000),
    events.CycleNetted(
        cycle=17,
        first=bytes(16),
        last=b"\xff" * 16,
        positions=(NetPosition(_HOME, "EUR", -12_345), NetPosition(_AWAY, "EUR", 12_345)),
    ),
    events.ParticipantListed(
        bic="ALFADEFF",
        settles_through="ALFADEFF",
        schemes=("sct-inst", "fps"),
        caps={"EUR": 5_000_000_000, "GBP": 0},
        available=True,
    ),
    events.ParticipantAvailabilityChanged("ALFADEFF", available=False),
    events.CutOffScheduled(17, at_us=ACCEPTED_US + 60_000_000),
    events.CycleSettled(17),
    events.BehaviourOrdered("settle", 2),
)
EXAMPLE_OF_TYPE: Final[dict[type, object]] = {type(example): example for example in EXAMPLES}
