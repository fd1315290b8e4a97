"""What a scheme demands of a payment, as data.  Each scheme's module names its sources; ``docs/schemes.md`` has all.

A profile is part of the activated behaviour: two builds that differ in one are two behaviour versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SchemeProfile:
    """One scheme."""

    name: str
    """What orders and the directory call it."""
    currency: str
    """The only one it carries."""
    amount_minor_max: int | None
    """Per payment, in minor units; None where the scheme has no limit."""
    answer_us_max: int
    """From acceptance (AccptncDtTm) to the answer of the receiving participant, at the clearing."""
    on_timeout: Literal["expire", "hold"]
    """``expire``: we are the clearing, our clock decides.  ``hold``: a foreign rail decides, we ask (pacs.028)."""
    may_hold: bool
    """Whether a payment may wait for a review before it is submitted."""
    reference_length_max: int
    """Characters of the remittance information."""
    reasons: ReasonCodes
    """What we say when we refuse a payment ourselves."""


@dataclass(frozen=True, slots=True)
class ReasonCodes:
    """The scheme's codes for what we refuse ourselves."""

    duplicate: str
    """Another order has the same identity."""
    over_scheme_limit: str
    """More than the scheme carries at once."""
    over_cap: str
    """The sender's net position would pass its cap."""
    unreachable: str
    """The creditor's agent cannot be reached by this scheme, or is not known."""
    creditor_agent_offline: str
    """The creditor's agent has gone off line."""
    timeout: str
    """No answer came before the deadline."""
    too_late_on_arrival: str
    """The scheme's time had passed when the order came to the clearing."""
    suspected_fraud: str
    """The fraud score refuses it."""
    invalid: str
    """The order breaks a rule of the scheme, or names an agent that is no participant."""
    too_many_open: str
    """The sender has as many payments open as we take: an error at the instructed agent, which is us."""
