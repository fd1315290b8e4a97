"""Settlement accounts: what each owes and is owed per cycle, what is reserved, and how much more its cap allows.

An account is one key, ``BIC/currency`` of the participant that settles, so everything that happens to it happens in
one order, and its cap cannot be passed by two payments at once.  It holds one currency: no sum here has two.

    reserve   pending += amount                             the receiving side is asked
    release   pending -= amount                             rejected or expired
    post      pending -= amount, debits of the open cycle += amount
    credit    credits of the debit's cycle += amount        an event of its own, from the debtor's shard

With D = debits - credits of a cycle, the net sender cap demands, before each reservation:

    sum of max(0, D) over closed unsettled cycles + D of the open cycle + pending + amount <= cap

Posted credits give headroom back at once, credits of a cycle that is not open yet here give none, and money that is
only promised to an account counts for nothing.  A cut-off frees nothing: what was owed in the open cycle is owed in
the closed one.  A cycle is *over* when it is final here and the RTGS has settled it; only then do its numbers stop to
count, and they are dropped when the next cycle becomes final.  That the RTGS has settled a cycle is known per shard,
not per account, so it holds for every account there is and for those that come later.  Said too early it changes
nothing until the cycle is final.

What must never happen: an amount released or posted that was not reserved, a posting to a cycle that is final.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agents.streams import settlement_account
from agents.table_numbers import POSITIONS, SETTLED_CYCLES
from pipeline.errors import InvariantViolation
from pipeline.kernel.agent import Context
from pipeline.kernel.hashrange import HashRange
from pipeline.kernel.tables import MessagePackValues, Tables
from schemas.events import NetPosition
from schemas.money import Money


class CycleTotals(msgspec.Struct, frozen=True, array_like=True):
    """What was posted to an account in one cycle, in minor units."""

    debits_minor: int = 0
    credits_minor: int = 0

    @property
    def net_debit_minor(self) -> int:
        """D: what the account owes of the cycle; below zero when it is owed."""
        return self.debits_minor - self.credits_minor


NOTHING_POSTED = CycleTotals()


class SettlementAccount(msgspec.Struct, frozen=True, array_like=True):
    """One settlement account, in minor units of its one currency.  A value: every change returns another."""

    name: str
    pending_minor: int = 0
    open_payments: dict[str, int] = {}
    """By instructing participant: several may settle through one account."""
    cycles: dict[int, CycleTotals] = {}

    def exposure_minor(self, open_cycle: int) -> int:
        """Return what counts against the cap, given that every cycle kept here is unsettled."""
        exposure = self.pending_minor
        for cycle, totals in self.cycles.items():
            net_debit = totals.net_debit_minor
            exposure += net_debit if cycle == open_cycle else max(0, net_debit)
        return exposure

    def reserved(self, participant: str, amount_minor: int) -> SettlementAccount:
        """Return the account with ``amount_minor`` more pending, on behalf of ``participant``."""
        open_payments = {**self.open_payments, participant: self.open_payments.get(participant, 0) + 1}
        return replace(self, pending_minor=self.pending_minor + amount_minor, open_payments=open_payments)

    def released(self, participant: str, amount_minor: int) -> SettlementAccount:
        """Return the account without one reservation."""
        open_before = self.open_payments.get(participant, 0)
        if amount_minor > self.pending_minor or open_before == 0:
            raise InvariantViolation(
                f"settlement account {self.name}: cannot release {amount_minor} for {participant}, who has "
                f"{open_before} payments open, of {self.pending_minor} pending; something was released or posted twice"
            )
        open_payments = {**self.open_payments, participant: open_before - 1}
        if open_before == 1:
            del open_payments[participant]
        return replace(self, pending_minor=self.pending_minor - amount_minor, open_payments=open_payments)

    def debited(self, cycle: int, amount_minor: int) -> SettlementAccount:
        """Return the account with a debit posted."""
        before = self.cycles.get(cycle, NOTHING_POSTED)
        return self._with(cycle, replace(before, debits_minor=before.debits_minor + amount_minor))

    def credited(self, cycle: int, amount_minor: int) -> SettlementAccount:
        """Return the account with a credit posted."""
        before = self.cycles.get(cycle, NOTHING_POSTED)
        return self._with(cycle, replace(before, credits_minor=before.credits_minor + amount_minor))

    def _with(self, cycle: int, totals: CycleTotals) -> SettlementAccount:
        return replace(self, cycles={**self.cycles, cycle: totals})


_SETTLEMENT_ACCOUNTS = MessagePackValues(SettlementAccount)
_CYCLES = MessagePackValues(int)


class Positions:
    """The accounts of a shard.  An account is reached while its own key is in hand."""

    def __init__(self, tables: Tables) -> None:
        self._accounts = tables.keyed(POSITIONS, _SETTLEMENT_ACCOUNTS)
        self._settled = tables.broadcast(SETTLED_CYCLES, _CYCLES)

    def exposure_minor(self, account: str, ctx: Context) -> int:
        """Return what counts against the account's cap now."""
        return self._unsettled(self._find(account), ctx).exposure_minor(ctx.cycles.open_cycle(ctx.hashed))

    def open_payments(self, account: str, participant: str) -> int:
        """Return how many payments of ``participant`` hold a reservation in the account."""
        return self._find(account).open_payments.get(participant, 0)

    def reserve(self, account: str, participant: str, amount: Money) -> None:
        """Set ``amount`` aside; whether the cap allows it was asked before."""
        self._check_currency(account, amount)
        self._keep(self._find(account).reserved(participant, amount.minor))

    def release(self, account: str, participant: str, amount: Money) -> None:
        """Give a reservation back."""
        self._check_currency(account, amount)
        self._keep(self._find(account).released(participant, amount.minor))

    def post(self, account: str, participant: str, amount: Money, ctx: Context) -> int:
        """Turn a reservation into a debit of the cycle that is open, and return that cycle."""
        cycle = ctx.cycles.open_cycle(ctx.hashed)
        self._check_currency(account, amount)
        self._check_not_final(account, cycle, ctx)
        self._keep(self._find(account).released(participant, amount.minor).debited(cycle, amount.minor))
        return cycle

    def credit(self, account: str, cycle: int, amount: Money, ctx: Context) -> None:
        """Post a credit to the cycle of its debit."""
        self._check_currency(account, amount)
        self._check_not_final(account, cycle, ctx)
        self._keep(self._find(account).credited(cycle, amount.minor))

    def note_settled(self, cycle: int) -> None:
        """Remember, for every account of the shard, that the RTGS has settled ``cycle``; again changes nothing."""
        self._settled.put(cycle, cycle.to_bytes(8, "big"))

    def finalise(self, cycle: int, hash_range: HashRange, ctx: Context) -> tuple[NetPosition, ...]:
        """Return the net positions of ``cycle`` in ``hash_range``, by account, and drop what is over."""
        nets = []
        for hashed, _, account in self._accounts.scan(hash_range):
            ctx.turn_to(hashed)
            open_cycle = ctx.cycles.open_cycle(hashed)
            if open_cycle <= cycle:
                raise InvariantViolation(
                    f"settlement account {account.name}: cycle {cycle} became final while {open_cycle} is open here"
                )
            net_minor = -account.cycles.get(cycle, NOTHING_POSTED).net_debit_minor
            if net_minor:
                currency = account.name.rpartition("/")[2]
                nets.append(NetPosition(account.name, currency, net_minor))
            unsettled = self._unsettled(account, ctx)
            if len(unsettled.cycles) < len(account.cycles):
                self._keep(unsettled)
        return tuple(sorted(nets, key=lambda net: net.account))

    def _unsettled(self, account: SettlementAccount, ctx: Context) -> SettlementAccount:
        over = [cycle for cycle in account.cycles if self._is_over(cycle, ctx)]
        if not over:
            return account
        kept = {cycle: totals for cycle, totals in account.cycles.items() if cycle not in over}
        return replace(account, cycles=kept)

    def _is_over(self, cycle: int, ctx: Context) -> bool:
        settled = self._settled.get(cycle.to_bytes(8, "big")) is not None
        return settled and ctx.cycles.is_finalised(ctx.hashed, cycle)

    def _find(self, account: str) -> SettlementAccount:
        found = self._accounts.get(account.encode())
        return SettlementAccount(account) if found is None else found

    def _keep(self, account: SettlementAccount) -> None:
        self._accounts.put(account, account.name.encode())

    @staticmethod
    def _check_currency(account: str, amount: Money) -> None:
        if account != settlement_account(account.rpartition("/")[0], amount.currency):
            raise InvariantViolation(f"settlement account {account}: it does not hold {amount.currency}")

    @staticmethod
    def _check_not_final(account: str, cycle: int, ctx: Context) -> None:
        if ctx.cycles.is_finalised(ctx.hashed, cycle):
            raise InvariantViolation(
                f"settlement account {account}: a posting to cycle {cycle}, which is final here; its nets are out"
            )
