"""The limits of the clearing.  They can alter a step, so they belong to the behaviour version that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_HOUR_US = 60 * _MINUTE_US


@dataclass(frozen=True, slots=True)
class ClearingLimits:
    """What the clearing bounds."""

    open_payments_max: int = 20_000
    """Per instructing participant, forwarded or in limbo: each has a timer, and timers are held in memory."""
    claims_horizon_us: int = 24 * _HOUR_US
    """How long at least an identity stays claimed once its payment has ended."""
    status_requests_after_us: tuple[int, ...] = (
        10 * _SECOND_US,
        _MINUTE_US,
        10 * _MINUTE_US,
        _HOUR_US,
        6 * _HOUR_US,
        24 * _HOUR_US,
    )
    """A foreign rail that stays silent is asked at the deadline, and again this long after each question, growing.

    Behind the last one nobody is asked any more: the payment stays in limbo until an answer comes.
    """


LIMITS: Final = ClearingLimits()
