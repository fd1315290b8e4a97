"""How simulated participants answer: a function of a seed and the transaction, so that a rerun answers alike.

Most accept, in 20 to 80 ms or, where a person's phone or an old core system is in the way, in about a second.  Some
reject.  A few answer behind the deadline, some of those by less than a millisecond, and a few not at all.  Those that
only a foreign clearing reaches may be silent until they are asked, or for ever: their payments stay in limbo.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from agents.edge.workload.draws import TEN_THOUSAND, Draws
from schemas.events import PaymentForwarded
from schemas.schemes.catalogue import SCHEMES

NEVER_RECEIVED: Final = "AG09"
"""ISO 20022: the original was never received."""

_REASONS: Final = {"fps": ("1114", "1160", "1161", "1167"), "sct-inst": ("AC01", "AC04", "AC06", "MS03")}
_REJECTED, _LATE, _SILENT, _ON_THE_DEADLINE = 200, 40, 25, 15
_SILENT_ABROAD, _SILENT_UNTIL_ASKED = 800, 800
_UNHURRIED = 800


class Plan(NamedTuple):
    """What a participant does with a payment that it receives."""

    accepted: bool
    reason: str
    """Empty when accepted."""
    answer_us: int | None
    """When it answers of itself; None: not at all."""
    asked_after_us: int | None
    """How long it takes to answer a status request; None: it does not."""


def plan_answer(seed: int, payment: PaymentForwarded, received_us: int) -> Plan:
    """Return what the receiving participant does with ``payment``, received at ``received_us``."""
    transfer = payment.transfer
    draws = Draws(seed, "answer", transfer.debtor.agent, transfer.transaction_id)
    accepted, reason = True, ""
    if draws.happens(_REJECTED):
        accepted, reason = False, draws.pick(_REASONS.get(payment.scheme, _REASONS["sct-inst"]))
    prompt_us = draws.between(700_000, 1_500_000) if draws.happens(_UNHURRIED) else draws.between(20_000, 80_000)
    asked_after_us = draws.between(300_000, 2_500_000)
    drawn = draws.below(TEN_THOUSAND)
    if SCHEMES[payment.scheme].on_timeout == "hold":
        if drawn < _SILENT_ABROAD:
            return Plan(accepted, reason, None, None)
        if drawn < _SILENT_ABROAD + _SILENT_UNTIL_ASKED:
            return Plan(accepted, reason, None, asked_after_us)
    elif drawn < _LATE:
        return Plan(accepted, reason, payment.deadline_us + draws.between(100_000, 2_000_000), asked_after_us)
    elif drawn < _LATE + _SILENT:
        return Plan(accepted, reason, None, None)
    elif drawn < _LATE + _SILENT + _ON_THE_DEADLINE:
        return Plan(accepted, reason, payment.deadline_us + draws.between(-1_000, 1_000), asked_after_us)
    return Plan(accepted, reason, received_us + prompt_us, asked_after_us)
