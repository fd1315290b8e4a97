"""The score card: what points an order gets for what, as data; the score is their sum, in basis points.

Each line looks at one feature and gives the points of the highest step that the feature reaches.  The lines with the
most points are the reasons, three at most: a person who reviews an order, or explains a refusal, gets no more than
that.  Only integers, no state, no learning: the same features always give the same score and the same reasons.

No single line reaches ``BLOCK``, and a busy account alone does not reach ``REVIEW``: a payroll run, a rent collector
and a first day all look busy.  A learned model takes the card's place behind the same ``score`` and ``reasons``; the
second is asked only when somebody will read the answer.
"""

from __future__ import annotations

from operator import ge
from typing import Final, NamedTuple

from agents.fraud.features import Features

SCORE_MAX: Final = 10_000
REVIEW: Final = 4_000
"""From here on an order is held where the scheme allows that."""
BLOCK: Final = 7_000
"""From here on it is refused."""
REASONS_MAX: Final = 3


class Line(NamedTuple):
    """What one feature is worth."""

    feature: str
    reason: str
    """The code that people see."""
    steps: tuple[tuple[int, int], ...]
    """(from this value on, so many points), rising."""


CARD: Final = (
    Line("amount_percent_of_usual", "amount-unusual", ((400, 1_000), (1_000, 2_500), (3_000, 3_500))),
    Line("new_payee", "payee-new", ((1, 1_500),)),
    Line("orders_percent_of_usual", "orders-in-quick-succession", ((300, 1_000), (800, 2_500))),
    Line("new_payees_percent_of_usual", "many-new-payees", ((300, 1_000), (800, 2_500))),
    Line("passed_through_percent", "money-passed-through", ((85, 1_500),)),
    Line("own_step_as_payee", "many-new-payers", ((1, 500), (2, 2_000), (3, 3_500))),
    Line("idle_days", "account-was-dormant", ((60, 1_000), (180, 2_000))),
    Line("payee_step", "payee-at-risk", ((1, 500), (2, 2_500), (3, 4_500))),
)


_NEVER = (1 << 63, ())
_LINES = {line.feature: line for line in CARD}
_STEPS = tuple(
    (line.steps[0][0], tuple(reversed(line.steps))) if (line := _LINES.get(feature)) else _NEVER
    for feature in Features._fields
)
"""By feature: the least value that gets points, and the steps, the highest first."""
_LEAST = tuple(least for least, _ in _STEPS)


def score(features: Features) -> int:
    """Return what the card makes of ``features``, 0 to ``SCORE_MAX``."""
    if not any(map(ge, features, _LEAST)):  # as of nearly every order
        return 0
    total = 0
    for value, (least, falling_steps) in zip(features, _STEPS, strict=True):
        if value >= least:
            total += _points(value, falling_steps)
    return min(total, SCORE_MAX)


def reasons(features: Features) -> tuple[str, ...]:
    """Return the codes of what gave the most points, the most first; of equal ones the card's order decides."""
    given = [(_points(getattr(features, line.feature), line.steps[::-1]), line.reason) for line in CARD]
    given.sort(key=_most_first)
    return tuple(reason for points, reason in given[:REASONS_MAX] if points)


def _most_first(given: tuple[int, str]) -> int:
    return -given[0]


def _points(value: int, falling_steps: tuple[tuple[int, int], ...]) -> int:
    for least, points in falling_steps:
        if value >= least:
            return points
    return 0
