"""How simulated participants answer is what they are told to be, and the same in every run."""

from __future__ import annotations

from agents.edge.link_messages.terms import Recall, ReceivedPayment, Transaction
from agents.edge.participant_answers import Manners, Plan, deadline_of, plan_answer, plan_recall
from tests.builders import BANK_A, BANK_B, eur
from tests.virtual_clock import SOME_DAY_US

PROMPT = Manners(rejected=0, late=0, silent=0, on_the_deadline=0, unhurried=0, prompt_ms=(5, 9))
EVERYTHING = 10_000


def payment(number: int) -> ReceivedPayment:
    transaction = Transaction(BANK_A, f"tx-{number}", BANK_B)
    return ReceivedPayment(transaction, "sct-inst", eur("1.00"), SOME_DAY_US, "id")


def plans(manners: Manners, received_us: int = SOME_DAY_US) -> list[Plan]:
    return [plan_answer(1, payment(number), received_us, manners) for number in range(200)]


def test_who_is_told_to_be_prompt_accepts_within_the_delay() -> None:
    delays = [(plan.answer_us or 0) - SOME_DAY_US for plan in plans(PROMPT) if plan.accepted]

    assert len(delays) == 200
    assert all(5_000 <= delay <= 9_000 for delay in delays)


def test_who_is_told_to_reject_says_why() -> None:
    assert all(not plan.accepted and plan.reason for plan in plans(Manners(rejected=EVERYTHING)))


def test_who_is_told_to_be_late_answers_behind_the_deadline() -> None:
    assert all((plan.answer_us or 0) > deadline_of(payment(1)) for plan in plans(Manners(late=EVERYTHING)))


def test_who_is_told_to_be_silent_says_nothing() -> None:
    assert all(plan.answer_us is None for plan in plans(Manners(late=0, silent=EVERYTHING)))


def test_what_comes_at_its_deadline_is_refused() -> None:
    received_us = deadline_of(payment(1))
    assert {(plan.accepted, plan.reason) for plan in plans(PROMPT, received_us)} == {(False, "AB06")}
    assert {plan.accepted for plan in plans(PROMPT, received_us - 1)} == {True}


def test_what_was_never_received_is_not_sent_back() -> None:
    for number in range(200):
        recall = Recall(payment(number).transaction, "rcl", eur("1.00"))
        answer, _ = plan_recall(1, recall, is_known=False)
        assert (answer.returned, answer.reason) == (None, "NOOR")
