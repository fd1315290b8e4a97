"""Bugs in the agents: what is claimed, what a cap counts, what an answer does, who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

from msgspec.structs import replace as with_fields

from agents.dedupe import Claim, ClaimCodec, Dedupe, content_of
from agents.directory import Directory
from agents.fraud.agent import Fraud, PaymentScored
from agents.settlement.agent import Settlement
from agents.settlement.checks import Refusal
from agents.settlement.limits import LIMITS, ClearingLimits
from agents.settlement.messages import confirm
from agents.settlement.orders import Orders
from agents.settlement.positions import Positions
from agents.settlement.transfers import (
    NEVER,
    ClearedTransfer,
    Identity,
    OpenTransfer,
    State,
    Transfers,
    ended_as,
)
from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from agents.table_numbers import CLAIMS
from chaos.simulator.edges import CYCLE_US
from chaos.virtual_time import SECOND_US, START_US, VirtualTime
from pipeline.kernel.agent import Context
from pipeline.kernel.tables import Table, Tables
from schemas.events import (
    AccountCredited,
    ParticipantAnswered,
    PaymentAuthorised,
    PaymentExpired,
    PaymentRepeated,
    PaymentSettled,
    PaymentSubmitted,
    SettlementCredited,
)
from schemas.money import Money
from schemas.schemes.profile import SchemeProfile

# ----------------------------------------------------------------------------------------------------------- authorise

_THE_LAST = b"the last"


class RemembersTheLastOrderOnly(Dedupe):
    """Every claim is kept, and not only the last of an account."""

    def claim(self, payment: PaymentSubmitted, ctx: Context) -> PaymentSubmitted | None:
        transfer = payment.transfer
        last = self._claims.get(_THE_LAST)
        if last is not None and last.payment_id == transfer.payment_id:
            ctx.emit(OUTCOMES, transfer.debtor.account, PaymentRepeated(transfer.payment_id, of=last.payment_id))
            return None
        self._claims.put(Claim(transfer.payment_id, content_of(transfer)), _THE_LAST)
        return payment


class ClaimsPaymentIds(Dedupe):
    """What is claimed is the scheme's identity: our own id says nothing about what the client ordered."""

    def claim(self, payment: PaymentSubmitted, ctx: Context) -> PaymentSubmitted | None:
        transfer = payment.transfer
        claimed = replace(transfer, transaction_id=transfer.payment_id)
        taken = super().claim(PaymentSubmitted(claimed), ctx)
        return None if taken is None else payment


class ClaimsForSeconds(Dedupe):
    """A claim lives as long as an order may be sent again."""

    def __init__(self, tables: Tables) -> None:
        self._claims = tables.horizon(CLAIMS, ClaimCodec(), 5 * SECOND_US)


class TakesOrdersFromTheFuture(Dedupe):
    """An order that was accepted far ahead of the time is parked: its claim would be forgotten too early."""

    def claim(self, payment: PaymentSubmitted, ctx: Context) -> PaymentSubmitted | None:
        transfer = payment.transfer
        accepted_us = min(transfer.accepted_us, ctx.now_us)
        return super().claim(PaymentSubmitted(replace(transfer, accepted_us=accepted_us)), ctx)


class TakesConflictsForRepeats(Dedupe):
    """The same identity with other content is a conflict, and is told so."""

    def claim(self, payment: PaymentSubmitted, ctx: Context) -> PaymentSubmitted | None:
        transfer = payment.transfer
        claimed = replace(transfer, amount=Money(1, transfer.amount.currency))
        taken = super().claim(PaymentSubmitted(claimed), ctx)
        return None if taken is None else payment


class _ContextWithAClock:
    """A context that asks the machine what time it is."""

    def __init__(self, ctx: Context, time: VirtualTime) -> None:
        self._ctx = ctx
        self.now_us = time.us

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


def fraud_by_the_clock(time: VirtualTime) -> type[Fraud]:
    """Windows are in event time: in processing time a replay counts something else."""

    class FraudByTheClock(Fraud):
        def judge(self, payment: PaymentSubmitted, ctx: Context) -> PaymentScored | None:
            return super().judge(payment, cast("Context", _ContextWithAClock(ctx, time)))

    return FraudByTheClock


class _TableThatKeepsWhatItKnows(Table[Any]):
    def put(self, value: Any, key: bytes = b"") -> None:
        if self.get(key) is None:
            super().put(value, key)


class FraudThatForgetsToPut(Fraud):
    """A value that was changed in place counts as written only once it was put: a cache is not state."""

    def __init__(self, tables: Tables, directory: Directory) -> None:
        super().__init__(tables, directory)
        self._accounts.__class__ = _TableThatKeepsWhatItKnows


# -------------------------------------------------------------------------------------------------------------- settle


class WithOtherParts(Settlement):
    """A settlement that may have other positions, transfers or orders."""

    positions_type: ClassVar[type[Positions]] = Positions
    transfers_type: ClassVar[type[Transfers]] = Transfers
    orders_type: ClassVar[type[Orders]] = Orders

    def __init__(
        self,
        tables: Tables,
        directory: Directory,
        schemes: Mapping[str, SchemeProfile],
        limits: ClearingLimits = LIMITS,
    ) -> None:
        super().__init__(tables, directory, schemes, limits)
        self._positions = self.positions_type(tables)
        self._transfers = self.transfers_type(tables, limits.claims_horizon_us)
        self._orders = self.orders_type(self._transfers, self._positions, directory, schemes, limits.open_payments_max)


class PostsAfterExpiry(Settlement):
    """What has expired is never posted, however it is answered later."""

    def _expire(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        payment = transfer.order.transfer
        ctx.emit(OUTCOMES, payment.debtor.account, PaymentExpired(payment.payment_id, reason, payment.accepted_us))
        for recipient in (payment.debtor.agent, payment.creditor.agent):
            confirm(recipient, transfer.identity, ended_as(to, transfer.order, reason), ctx)
        self._transfers.wait(with_fields(transfer, due_us=NEVER), ctx)


class KeepsReservationsOfTheExpired(Settlement):
    """A reservation is given back when its payment expires."""

    def _release_and_close(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> ClearedTransfer:
        return self._transfers.close(transfer, to, reason, ctx)


class ReleasesInLimbo(Settlement):
    """Whoever does not know whether a payment was made keeps its reservation."""

    def _enter_limbo(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        order = transfer.order
        self._positions.release(order.debtor_settlement_account, order.transfer.debtor.agent, order.transfer.amount)
        super()._enter_limbo(transfer, to, reason, ctx)


class ExpiresWhatAForeignRailDecides(Settlement):
    """A foreign rail decides about its payments; our clock does not."""

    def _enter_limbo(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        self._expire(transfer, State.EXPIRED, reason, ctx)


class NeverAsksAgain(Settlement):
    """A foreign participant that is silent is asked until it answers."""

    def _ask(self, transfer: OpenTransfer, to: State, _reason: str, ctx: Context) -> None:
        super()._ask(with_fields(transfer, times_asked=99), to, _reason, ctx)


class LetsARejectedPaymentBeAccepted(Settlement):
    """An answer that contradicts the first one moves no money."""

    def _release(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        super()._release(transfer, to, reason, ctx)
        order = transfer.order
        self._positions.reserve(order.debtor_settlement_account, order.transfer.debtor.agent, order.transfer.amount)
        self._transfers.wait(with_fields(transfer, due_us=NEVER), ctx)


class TakesAnyAnswerForYes(Settlement):
    """A rejection moves no money."""

    def take_answer(self, answer: ParticipantAnswered, ctx: Context) -> None:
        super().take_answer(replace(answer, accepted=True, reason=""), ctx)


class TellsOneSideOnly(Settlement):
    """Both sides are told that a payment was settled."""

    def _post(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        super()._post(transfer, to, reason, ctx)
        del ctx.outputs[-1]


class CreditsTwice(Settlement):
    """A posted payment is credited once."""

    def _post(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        super()._post(transfer, to, reason, ctx)
        order, payment = transfer.order, transfer.order.transfer
        cycle = ctx.cycles.open_cycle(ctx.hashed)
        accounts = (order.creditor_settlement_account, order.debtor_settlement_account)
        ctx.emit(CLEARING, accounts[0], SettlementCredited(payment.payment_id, *accounts, payment.amount, cycle))


class CreditsThePayeeTwice(Settlement):
    """A payee is credited once."""

    def _post(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        super()._post(transfer, to, reason, ctx)
        payment = transfer.order.transfer
        again = AccountCredited(payment.payment_id, payment.debtor, payment.creditor, payment.amount, ctx.now_us)
        ctx.emit(PAYMENTS, payment.creditor.account, again)


class SettlesAgainWhenAnsweredAgain(Settlement):
    """An answer that is repeated changes nothing."""

    def take_answer(self, answer: ParticipantAnswered, ctx: Context) -> None:
        identity = Identity(answer.instructing_agent, answer.transaction_id)
        before = self._transfers.find(identity)
        super().take_answer(answer, ctx)
        if isinstance(before, ClearedTransfer) and before.state is State.SETTLED and answer.accepted:
            settled = PaymentSettled(before.payment_id, Money(1, "EUR"), "", "", before.cycle, ctx.now_us)
            ctx.emit(OUTCOMES, before.payment_id, settled)


class ChoosesTheCycleOfACreditAnew(Settlement):
    """A credit belongs to the cycle of its debit."""

    def take_credit(self, credit: SettlementCredited, ctx: Context) -> None:
        super().take_credit(replace(credit, cycle=ctx.cycles.open_cycle(ctx.hashed)), ctx)


class ConfirmsInTheOrderOfASet(Settlement):
    """Outputs have an order that every process gives them: a set of strings has another in each."""

    def _post(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        super()._post(transfer, to, reason, ctx)
        payment, ended = transfer.order.transfer, self._transfers.find(transfer.identity)
        del ctx.outputs[-2:]
        for recipient in {payment.debtor.agent, payment.creditor.agent}:
            confirm(recipient, transfer.identity, cast("ClearedTransfer", ended), ctx)


class _NoCap(Orders):
    def _over_limit(self, order: PaymentAuthorised, scheme: SchemeProfile, ctx: Context) -> Refusal | None:
        return None


class ChecksNoCap(WithOtherParts):
    """What passes the cap is not forwarded."""

    orders_type = _NoCap


class _PendingForNothing(Positions):
    def exposure_minor(self, account: str, ctx: Context) -> int:
        return super().exposure_minor(account, ctx) - self._find(account).pending_minor


class CountsNoReservations(WithOtherParts):
    """What is reserved counts against the cap."""

    positions_type = _PendingForNothing


class _OpenCycleOnly(Positions):
    def exposure_minor(self, account: str, ctx: Context) -> int:
        found, cycle = self._find(account), ctx.cycles.open_cycle(ctx.hashed)
        kept = {number: totals for number, totals in found.cycles.items() if number == cycle}
        return with_fields(found, cycles=kept).exposure_minor(cycle)


class FreesTheCapAtACutOff(WithOtherParts):
    """What was owed in a cycle counts until the cycle is settled."""

    positions_type = _OpenCycleOnly


class _Hopeful(Positions):
    def exposure_minor(self, account: str, ctx: Context) -> int:
        found = self._unsettled(self._find(account), ctx)
        return found.pending_minor + sum(totals.net_debit_minor for totals in found.cycles.values())


class CountsCreditsOfClosedCycles(WithOtherParts):
    """What is owed to an account in one cycle pays for nothing that it owes in another."""

    positions_type = _Hopeful


class _Gross(Positions):
    def exposure_minor(self, account: str, ctx: Context) -> int:
        found = self._unsettled(self._find(account), ctx)
        return found.pending_minor + sum(totals.debits_minor for totals in found.cycles.values())


class CountsNoCredits(WithOtherParts):
    """A posted credit gives headroom back."""

    positions_type = _Gross


class _BlindToCycles(Positions):
    def _is_over(self, cycle: int, ctx: Context) -> bool:
        return ctx.cycles.is_finalised(ctx.hashed, cycle)


class FreesTheCapBeforeSettlement(WithOtherParts):
    """A cycle counts until the central bank has settled it."""

    positions_type = _BlindToCycles


def cycles_by_the_clock(time: VirtualTime) -> type[Settlement]:
    """A payment's cycle is what its shard has open, and not what the machine's clock says."""

    class CyclesByTheClock(Positions):
        def post(self, account: str, participant: str, amount: Money, ctx: Context) -> int:
            cycle = max(ctx.cycles.open_cycle(ctx.hashed), (time.us - START_US) // CYCLE_US)
            self._keep(self._find(account).released(participant, amount.minor).debited(cycle, amount.minor))
            return cycle

    class ChoosesCyclesByTheClock(WithOtherParts):
        positions_type = CyclesByTheClock

    return ChoosesCyclesByTheClock


class _NoRefusedClaims(Transfers):
    def refuse(self, order: PaymentAuthorised, reason: str) -> ClearedTransfer:
        return ended_as(State.REFUSED, order, reason)


class ForgetsRefusedIdentities(WithOtherParts):
    """An id that failed stays failed."""

    transfers_type = _NoRefusedClaims


class _NoHolders(Transfers):
    def holders(self, order: PaymentAuthorised) -> list[str]:
        return []


class ClaimsNothing(WithOtherParts):
    """A transaction is claimed once, whatever account it is ordered from."""

    transfers_type = _NoHolders


class _OpenOnly(Transfers):
    def find(self, identity: Identity) -> OpenTransfer | ClearedTransfer | None:
        return self._open.get(identity.key)


class ForgetsWhatHasEnded(WithOtherParts):
    """A payment that has ended is known for a horizon."""

    transfers_type = _OpenOnly
