"""An account's risk as a payee: seen on its own shard, told to all, remembered by all for a day.

A mule account is paid by many who never paid it before, and passes the money on.  Both show only on the account's own
shard, and the payers' orders are elsewhere.  So when an account's risk crosses a step upwards, its shard broadcasts
the step with the time until which it holds; while the risk lasts it is told again once half of that has passed.  A
risk that falls is not told: it expires.  An account is told of a handful of times a day at most.

What was told is kept in a fixed number of slots: an account's slot is the first half of its fingerprint, and of two
accounts in one slot the later told counts, on every shard the same one, in whatever order they hear it.  So the table
is bounded whatever happens, and nothing ever has to be cleaned up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from agents.fraud.account import Account
from agents.fraud.windows import DAY_US, NEW_PAYERS, SUM_IN, SUM_OUT
from agents.table_numbers import PAYEE_RISK
from pipeline.kernel.tables import BroadcastTable, MessagePackValues, Tables
from schemas.events import PayeeRiskChanged

SLOT_BYTES: Final = 2
"""65,536 slots, some 30 MB when all are taken."""
TOLD_FOR_US: Final = DAY_US
NEW_PAYERS_MIN: Final = 6
"""In 24 hours; fewer are no fan-in."""
_FAN_IN_TIMES_USUAL = 3
_MONTH_DAYS = 30


class Step(NamedTuple):
    """Reached when both hold."""

    step: int
    new_payers_min: int
    passed_on_percent_min: int


STEPS: Final = (Step(3, 10, 80), Step(2, NEW_PAYERS_MIN, 50), Step(1, NEW_PAYERS_MIN, 0))
"""The highest first."""
STEP_ON_THE_FIRST_DAY: Final = 1
"""At most: a new shop and a mule look alike on their first day, and the shop is the rule."""


def step_of(account: Account, now_us: int) -> int:
    """Return the risk of ``account`` as a payee, whose windows stand at ``now_us``; 0 is none."""
    windows = account.windows
    counters, day = windows.counters, windows.day
    new_payers = counters[NEW_PAYERS] - day[NEW_PAYERS]
    if new_payers < NEW_PAYERS_MIN:
        return 0
    days_before = min((now_us - account.opened_us) // DAY_US, _MONTH_DAYS)
    if not days_before:
        return STEP_ON_THE_FIRST_DAY
    if new_payers * days_before < (day[NEW_PAYERS] - windows.month[NEW_PAYERS]) * _FAN_IN_TIMES_USUAL:
        return 0
    passed_on_percent = (counters[SUM_OUT] - day[SUM_OUT]) * 100 // max(counters[SUM_IN] - day[SUM_IN], 1)
    for step, new_payers_min, passed_on_percent_min in STEPS:
        if new_payers >= new_payers_min and passed_on_percent >= passed_on_percent_min:
            return step
    return 0


def to_be_told(account: Account, token: str, step: int, now_us: int) -> PayeeRiskChanged | None:
    """Return what every shard must hear about ``account``, and note in it that they did; None if nothing."""
    left_us = account.told_until_us - now_us
    if step == 0 or (left_us > 0 and step < account.told_step):
        return None
    if left_us > TOLD_FOR_US // 2 and step == account.told_step:
        return None
    account.told_step = step
    account.told_until_us = now_us + TOLD_FOR_US
    return PayeeRiskChanged(token, step, account.told_until_us)


_TOLD = MessagePackValues(PayeeRiskChanged)


class RiskyPayees:
    """What this shard was told about payees, wherever they are."""

    def __init__(self, tables: Tables) -> None:
        self._slots: BroadcastTable[PayeeRiskChanged] = tables.broadcast(PAYEE_RISK, _TOLD)

    def note(self, told: PayeeRiskChanged, fingerprint: bytes) -> None:
        """Remember what was told."""
        self._slots.put(told, fingerprint[:SLOT_BYTES])

    def step_of(self, account: str, fingerprint: bytes, now_us: int) -> int:
        """Return the risk of ``account`` as it was told, 0 if it was not or that has expired."""
        told = self._slots.get(fingerprint[:SLOT_BYTES])
        if told is None or told.account != account or told.expires_us <= now_us:
            return 0
        return told.step
