"""Clear and settle payments: the CSM, on the stream ``clearing``.

An order is checked, its amount reserved on the debtor's settlement account, and the receiving participant asked.  Then
the clock decides: its answer or its deadline, whichever comes first in the log of the shard.

    PaymentAuthorised      claim > check > cap > reserve > forward           or refuse
    ParticipantAnswered    post, tell both sides, credit the other account   or release, tell the sender
    AnswerDeadlinePassed   release, tell both sides                          or limbo and ask, on a foreign rail
    SettlementCredited     the credit side, in the cycle of its debit
    CycleFinalised         the nets of the cycle

Everything about a payment lies under the debtor's settlement account: order, claims, reservation, timer, and the
answer, which is keyed by it.  Only the credit belongs to another account, so it travels as an event.

What must never happen: a payment posted twice, or posted and released; money moved by what was parked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from agents.directory import Directory
from agents.settlement.limits import LIMITS, ClearingLimits
from agents.settlement.messages import confirm
from agents.settlement.orders import Orders
from agents.settlement.positions import Positions
from agents.settlement.transfers import (
    NEVER,
    ClearedTransfer,
    Effect,
    Identity,
    OpenTransfer,
    State,
    Stimulus,
    Transfers,
    transition_of,
)
from agents.streams import CLEARING, OUTBOUND, OUTCOMES, PAYMENTS
from pipeline.errors import InvariantViolation, Poison
from pipeline.kernel.hashrange import HashRange, hash_key
from pipeline.kernel.system_events import CycleFinalised
from schemas.events import (
    AccountCredited,
    AnswerDeadlinePassed,
    CutOffScheduled,
    CycleNetted,
    CycleSettled,
    ParticipantAnswered,
    PaymentAuthorised,
    PaymentExpired,
    PaymentRejected,
    PaymentSettled,
    PaymentUnknown,
    SettlementCredited,
    StatusRequested,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.kernel.agent import Context, Handlers
    from pipeline.kernel.tables import Tables
    from schemas.schemes.profile import SchemeProfile


class Settlement:
    """The agent of the settle stage, behind the directory."""

    def __init__(
        self,
        tables: Tables,
        directory: Directory,
        schemes: Mapping[str, SchemeProfile],
        limits: ClearingLimits = LIMITS,
    ) -> None:
        for scheme in schemes.values():
            if limits.claims_horizon_us <= scheme.answer_us_max:
                raise ValueError(
                    f"claims must be kept longer than {scheme.name} takes orders: {scheme.answer_us_max} us"
                )
        self._schemes = schemes
        self._limits = limits
        self._positions = Positions(tables)
        self._transfers = Transfers(tables, limits.claims_horizon_us)
        self._orders = Orders(self._transfers, self._positions, directory, schemes, limits.open_payments_max)
        self._effects: Mapping[Effect, Callable[[OpenTransfer, State, str, Context], None]] = {
            Effect.POST: self._post,
            Effect.RELEASE: self._release,
            Effect.EXPIRE: self._expire,
            Effect.ENTER_LIMBO: self._enter_limbo,
            Effect.ASK_AGAIN: self._ask,
        }

    def handlers(self) -> Handlers:
        """Return what this agent handles."""
        return {
            PaymentAuthorised: self._orders.take,
            ParticipantAnswered: self.take_answer,
            AnswerDeadlinePassed: self.pass_deadline,
            SettlementCredited: self.take_credit,
            CutOffScheduled: self.schedule_cut_off,
            CycleFinalised: self.finalise_cycle,
            CycleSettled: self.note_cycle_settled,
        }

    # --- an answer comes, or its time has passed -------------------------------------------------------------------

    def take_answer(self, answer: ParticipantAnswered, ctx: Context) -> None:
        """Let the receiving participant's answer decide, if nothing has decided before."""
        identity = Identity(answer.instructing_agent, answer.transaction_id)
        name = f"transaction {answer.transaction_id} of {answer.instructing_agent}"
        transfer = self._transfers.find(identity)
        if transfer is None:
            return ctx.park(f"{name}: an answer to a payment that is not known under {answer.settlement_account}")
        if answer.responder != transfer.responder:
            return ctx.park(f"{name}: answered by {answer.responder}, but {transfer.responder} was asked")
        stimulus = Stimulus.ACCEPTANCE if answer.accepted else Stimulus.REJECTION
        transition = transition_of(transfer.state, stimulus)
        if transition is None:
            return ctx.park(f"{name}: {stimulus} contradicts that it is {transfer.state}; no money was moved")
        if isinstance(transfer, OpenTransfer):
            return self._effects[transition.effect](transfer, transition.to, answer.reason, ctx)
        if transition.effect is Effect.CONFIRM_AGAIN:
            confirm(transfer.responder, identity, transfer, ctx)
        if transition.to is not transfer.state:
            self._transfers.note(identity, replace(transfer, state=transition.to))
        return None

    def pass_deadline(self, deadline: AnswerDeadlinePassed, ctx: Context) -> None:
        """Expire a payment that nobody answered, or ask again where a foreign rail decides."""
        identity = Identity(deadline.instructing_agent, deadline.transaction_id)
        transfer = self._transfers.find_open(identity)
        if transfer is None or not NEVER < transfer.due_us <= ctx.now_us:
            raise Poison(f"transaction {identity.transaction_id} of {identity.instructing_agent}: no deadline is due")
        scheme = self._schemes[transfer.order.scheme]
        stimulus = Stimulus.SILENCE if scheme.on_timeout == "hold" else Stimulus.DEADLINE
        transition = transition_of(transfer.state, stimulus)
        if transition is None:
            raise InvariantViolation(f"payment {transfer.payment_id}: {stimulus} while it is {transfer.state}")
        self._effects[transition.effect](transfer, transition.to, scheme.reasons.timeout, ctx)

    def _post(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        order, payment = transfer.order, transfer.order.transfer
        debtor, creditor, amount = payment.debtor, payment.creditor, payment.amount
        debited, credited = order.debtor_settlement_account, order.creditor_settlement_account
        cycle = self._positions.post(debited, debtor.agent, amount, ctx)
        ended = self._transfers.close(transfer, to, reason, ctx, cycle)
        ctx.emit(CLEARING, credited, SettlementCredited(payment.payment_id, credited, debited, amount, cycle))
        account_credited = AccountCredited(payment.payment_id, debtor, creditor, amount, ctx.now_us)
        ctx.emit(PAYMENTS, creditor.account, account_credited)
        settled = PaymentSettled(payment.payment_id, amount, debited, credited, cycle, payment.accepted_us)
        ctx.emit(OUTCOMES, debtor.account, settled)
        confirm(debtor.agent, transfer.identity, ended, ctx)
        confirm(creditor.agent, transfer.identity, ended, ctx)

    def _release(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        payment = transfer.order.transfer
        ended = self._release_and_close(transfer, to, reason, ctx)
        rejected = PaymentRejected(payment.payment_id, transfer.responder, reason, (), payment.accepted_us)
        ctx.emit(OUTCOMES, payment.debtor.account, rejected)
        confirm(payment.debtor.agent, transfer.identity, ended, ctx)

    def _expire(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        payment = transfer.order.transfer
        ended = self._release_and_close(transfer, to, reason, ctx)
        expired = PaymentExpired(payment.payment_id, reason, payment.accepted_us)
        ctx.emit(OUTCOMES, payment.debtor.account, expired)
        confirm(payment.debtor.agent, transfer.identity, ended, ctx)
        confirm(payment.creditor.agent, transfer.identity, ended, ctx)

    def _enter_limbo(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> None:
        payment = transfer.order.transfer
        unknown = PaymentUnknown(payment.payment_id, payment.amount, transfer.responder, transfer.deadline_us)
        ctx.emit(OUTCOMES, payment.debtor.account, unknown)
        self._ask(transfer, to, reason, ctx)

    def _ask(self, transfer: OpenTransfer, to: State, _reason: str, ctx: Context) -> None:
        intervals, asked = self._limits.status_requests_after_us, transfer.times_asked
        due_us = ctx.now_us + intervals[asked] if asked < len(intervals) else NEVER
        self._transfers.wait(replace(transfer, state=to, due_us=due_us, times_asked=asked + 1), ctx)
        agent, transaction_id = transfer.identity
        account = transfer.order.debtor_settlement_account
        request = StatusRequested(transfer.responder, transfer.payment_id, transaction_id, agent, account)
        ctx.emit(OUTBOUND, transfer.responder, request)

    def _release_and_close(self, transfer: OpenTransfer, to: State, reason: str, ctx: Context) -> ClearedTransfer:
        payment = transfer.order.transfer
        self._positions.release(transfer.order.debtor_settlement_account, payment.debtor.agent, payment.amount)
        return self._transfers.close(transfer, to, reason, ctx)

    # --- credits and cycles ----------------------------------------------------------------------------------------

    def take_credit(self, credit: SettlementCredited, ctx: Context) -> None:
        """Post the credit side of a settled payment."""
        if ctx.hashed != hash_key(credit.account):
            raise InvariantViolation(f"payment {credit.payment_id}: its credit is not keyed by {credit.account}")
        self._positions.credit(credit.account, credit.cycle, credit.amount, ctx)

    def schedule_cut_off(self, cut_off: CutOffScheduled, ctx: Context) -> None:
        """Learn when a cycle is cut off."""
        ctx.cycles.schedule(cut_off.cycle, cut_off.at_us)

    def finalise_cycle(self, final: CycleFinalised, ctx: Context) -> None:
        """Tell what the accounts of a piece owe, and are owed, of a cycle to which nothing can be added any more."""
        positions = self._positions.finalise(final.cycle, HashRange.from_bytes(final.first, final.last), ctx)
        ctx.emit(OUTCOMES, f"cycle/{final.cycle}", CycleNetted(final.cycle, final.first, final.last, positions))

    def note_cycle_settled(self, settled: CycleSettled, _ctx: Context) -> None:
        """Let what a cycle left owing no longer count against any cap."""
        self._positions.note_settled(settled.cycle)
