"""What a scheme demands of a payment, as data; limits and clocks from ``docs/schemes.md``'s sources.

A profile is part of the activated behaviour: two builds that differ in one are two behaviour versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SchemeProfile:
    """One scheme."""

    name: str
    currency: str
    amount_minor_max: int | None
    """Per payment, in minor units; None where the scheme has no limit."""
    answer_us_max: int
    """From acceptance (AccptncDtTm) to the answer of the receiving participant, at the clearing."""
    on_timeout: Literal["expire", "hold"]
    """``expire``: we are the clearing, our clock decides.  ``hold``: a foreign rail decides, we ask (pacs.028)."""
    may_hold: bool
    """Whether a payment may wait for a review before it is submitted."""
    reference_length_max: int
    reasons: ReasonCodes


@dataclass(frozen=True, slots=True)
class ReasonCodes:
    """The scheme's codes for what we refuse ourselves."""

    duplicate: str
    over_scheme_limit: str
    over_cap: str
    unreachable: str
    """The creditor's agent cannot be reached by this scheme, or is not known."""
    creditor_agent_offline: str
    timeout: str
    too_late_on_arrival: str
    suspected_fraud: str
    invalid: str
    too_many_open: str
    """The sender has as many payments open as we take: an error at the instructed agent, which is us."""
