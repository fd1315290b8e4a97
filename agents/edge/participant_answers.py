"""How simulated participants answer: a function of a seed and the transaction, so that a rerun answers alike.

Most accept, soon or, where a person's phone or an old core system is in the way, in about a second.  Some reject.  A
few answer behind the deadline, some of those by less than a millisecond, and a few not at all.  Those that only a
foreign clearing reaches may be silent until they are asked, or for ever: their payments stay in limbo.  What comes
behind its deadline is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from agents.edge.link_messages.terms import FOLLOWING_A_RECALL, Recall, RecallAnswer, ReceivedPayment, Return
from agents.edge.workload.draws import TEN_THOUSAND, Draws
from schemas.schemes.catalogue import SCHEMES

NEVER_HAD: Final = "NOOR"
"""ISO 20022: no original transaction was received."""
_RECALL_REFUSED: Final = 5_000
_RECALL_REASONS: Final = ("AC04", "AM04", "CUST", "LEGL", "NOAS")
_REASONS: Final = {"fps": ("1114", "1160", "1161", "1167"), "sct-inst": ("AC01", "AC04", "AC06", "MS03")}


@dataclass(frozen=True, slots=True)
class Manners:
    """How participants answer: shares of ten thousand, and times."""

    rejected: int = 200
    late: int = 40
    silent: int = 25
    on_the_deadline: int = 15
    """Within a millisecond of it, before or behind."""
    silent_abroad: int = 800
    """For ever; of those that a foreign clearing reaches, as is the next."""
    silent_until_asked: int = 800
    unhurried: int = 800
    """In 0.7 to 1.5 s instead of ``prompt_ms``."""
    prompt_ms: tuple[int, int] = (20, 80)
    """From receipt to answer."""


MANNERS: Final = Manners()


class Plan(NamedTuple):
    """What a participant does with a payment that it receives."""

    accepted: bool
    reason: str
    """Empty when accepted."""
    answer_us: int | None
    """When it answers of itself; None: not at all."""
    asked_after_us: int | None
    """How long it takes to answer a status request; None: it does not."""


def deadline_of(payment: ReceivedPayment) -> int:
    """Return until when the receiving participant's answer counts."""
    return payment.accepted_us + SCHEMES[payment.scheme].answer_us_max


def plan_answer(seed: int, payment: ReceivedPayment, received_us: int, manners: Manners = MANNERS) -> Plan:
    """Return what the receiving participant does with ``payment``, received at ``received_us``."""
    plan = _plan_in_time(seed, payment, received_us, manners)
    if received_us < deadline_of(payment):
        return plan
    return plan._replace(accepted=False, reason=SCHEMES[payment.scheme].reasons.timeout)


def plan_recall(seed: int, recall: Recall, *, is_known: bool) -> tuple[RecallAnswer, int]:
    """Return what the receiving participant says to a recall, and how many microseconds later."""
    draws = Draws(seed, "recall", *recall.transaction)
    after_us = draws.between(200_000, 1_000_000)
    if not is_known:
        return RecallAnswer(recall.transaction, NEVER_HAD, None), after_us
    if draws.happens(_RECALL_REFUSED):
        return RecallAnswer(recall.transaction, draws.pick(_RECALL_REASONS), None), after_us
    back = Return(f"RT{draws.token().upper()}", recall.amount)
    return RecallAnswer(recall.transaction, FOLLOWING_A_RECALL, back), after_us


def _plan_in_time(seed: int, payment: ReceivedPayment, received_us: int, manners: Manners) -> Plan:
    agent, transaction_id, _ = payment.transaction
    draws = Draws(seed, "answer", agent, transaction_id)
    deadline_us = deadline_of(payment)
    accepted, reason = True, ""
    if draws.happens(manners.rejected):
        accepted, reason = False, draws.pick(_REASONS.get(payment.scheme, _REASONS["sct-inst"]))
    low_ms, high_ms = (700, 1_500) if draws.happens(manners.unhurried) else manners.prompt_ms
    answer_us = received_us + draws.between(low_ms * 1_000, high_ms * 1_000)
    asked_after_us = draws.between(300_000, 2_500_000)
    drawn = draws.below(TEN_THOUSAND)
    if SCHEMES[payment.scheme].on_timeout == "hold":
        if drawn < manners.silent_abroad:
            return Plan(accepted, reason, None, None)
        if drawn < manners.silent_abroad + manners.silent_until_asked:
            return Plan(accepted, reason, None, asked_after_us)
    elif drawn < manners.late:
        return Plan(accepted, reason, deadline_us + draws.between(100_000, 2_000_000), asked_after_us)
    elif drawn < manners.late + manners.silent:
        return Plan(accepted, reason, None, None)
    elif drawn < manners.late + manners.silent + manners.on_the_deadline:
        return Plan(accepted, reason, deadline_us + draws.between(-1_000, 1_000), asked_after_us)
    return Plan(accepted, reason, answer_us, asked_after_us)
