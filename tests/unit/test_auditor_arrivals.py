"""The auditor counts arrivals: what an edge puts again is answered again, and ends once."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest

from agents.edge.workload import control
from chaos.auditor.invariants import Problem
from chaos.auditor.participants import Participants
from chaos.auditor.payments import Payments, problems_of_payments
from chaos.workload import Answers, Ending, Order, OrderKind
from schemas.events import CreditTransfer, Party
from schemas.money import Money

PAYER, PAYEE = Party("acct_a", "ZQAADEX0"), Party("acct_b", "ZQABDEX0")
TRANSFER = CreditTransfer(
    "pay", "TX", "E2E", "8a562c67-ca16-48ba-b074-65581be6f001", PAYER, PAYEE, Money(100, "EUR"), 1
)


def problems(
    kind: OrderKind, endings: Sequence[Ending], arrivals: int, allowed: frozenset[Ending] = frozenset(Ending)
) -> list[Problem]:
    payments = Payments()
    payments.endings["pay"] = list(endings)
    payments.arrived["pay"] = arrivals
    order = Order(0, kind, TRANSFER, Answers.ACCEPTS, allowed)
    return list(problems_of_payments(payments, {"pay": order}, ["pay"], []))


def test_a_conflict_that_arrived_twice_is_answered_twice() -> None:
    assert problems(OrderKind.CONFLICT, [Ending.CONFLICTED] * 2, arrivals=2) == []


@pytest.mark.parametrize("arrivals", [1, 3])
def test_a_conflict_is_answered_as_often_as_it_arrived(arrivals: int) -> None:
    assert len(problems(OrderKind.CONFLICT, [Ending.CONFLICTED] * 2, arrivals)) == 1


def test_an_order_that_arrived_twice_ends_once() -> None:
    assert problems(OrderKind.PLAIN, [Ending.EXPIRED], arrivals=2) == []
    assert len(problems(OrderKind.PLAIN, [Ending.EXPIRED] * 2, arrivals=2)) == 1


@pytest.mark.parametrize(("parked", "wrong"), [(0, 1), (1, 1), (2, 0), (3, 1)])
def test_garbage_is_parked_as_often_as_it_arrived(parked: int, wrong: int) -> None:
    payments = Payments()
    payments.parked_garbage[sha256(b"garbage").digest()] = parked

    assert len(list(problems_of_payments(payments, {}, [], [b"garbage", b"garbage"]))) == wrong


def test_what_was_never_sent_must_not_be_parked() -> None:
    payments = Payments()
    payments.parked_garbage[sha256(b"garbage").digest()] = 1

    assert len(list(problems_of_payments(payments, {}, [], []))) == 1


def test_everybody_pays_from_the_account_that_the_directory_says() -> None:
    listings = control.listings()

    participants = Participants.of(listings)

    sponsored = next(entry for entry in listings if entry.settles_through != entry.bic)
    assert participants.settlement_account(sponsored.bic, "GBP") == f"{sponsored.settles_through}/GBP"
    assert f"{sponsored.bic}/GBP" not in participants.caps
    assert len(participants.foreign) == 3
