"""The clearing with its participants listed, and verbs for what happens to it.

    clearing = a_clearing()
    order = clearing.order(1, amount=eur("10.00"))
    clearing.accept(order)
    assert clearing.outcomes() == [settled(order)]

What the clearing sends to itself - credits, cycle markers - comes back to it when the test says ``loop_back``, as the
log would bring it: the same bytes, with their lineage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from agents.directory import Directory
from agents.event_codec import EventCodec
from agents.settlement.agent import Settlement
from agents.settlement.limits import LIMITS, ClearingLimits
from agents.settlement.positions import SettlementAccount
from agents.streams import CLEARING, OUTBOUND, OUTCOMES, PARKED, PAYMENTS, settlement_account
from agents.table_numbers import POSITIONS
from pipeline.kernel import keys
from pipeline.kernel.agent import Agent, Behaviour, Stage
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.system_events import Parked
from schemas.events import (
    CreditTransfer,
    CutOffScheduled,
    CycleNetted,
    CycleSettled,
    ParticipantAnswered,
    Party,
    PaymentAuthorised,
    PaymentConfirmed,
)
from schemas.money import Money
from schemas.schemes.catalogue import SCHEMES
from schemas.schemes.sct_inst import SCT_INST
from tests.builders import BANK_A, BANK_B, PAYEE, PAYER, a_participant, a_transfer
from tests.stage_under_test import START_US, StageUnderTest

if TYPE_CHECKING:
    from pipeline.kernel.tables import Tables

BANK_C = "CHARDEFF"
SPONSORED = "SPONDEFF"
"""Settles through bank A."""
ALSO_SPONSORED = "TWINDEFF"
"""Settles through bank A as well."""
FOREIGN_BANK = "FRGNUS33"
"""Reached through a clearing that is not ours."""
NO_SUCH_BANK = "NOPEDEFF"

SECOND_US = 1_000_000
DEADLINE_US = START_US + SCT_INST.answer_us_max
"""Of a payment that was accepted at the start."""
CAP_MINOR = 1_000_00
"""What bank A may owe in euros, in cents."""


def a_stage(limits: ClearingLimits = LIMITS) -> Stage:
    """Return the settle stage."""

    def agents(tables: Tables) -> tuple[Agent, ...]:
        directory = Directory(tables)
        return directory, Settlement(tables, directory, SCHEMES, limits)

    destinations = (CLEARING, PAYMENTS, OUTBOUND, OUTCOMES)
    return Stage("settle", CLEARING, destinations, PARKED, EventCodec(), {1: Behaviour(agents)})


def a_clearing(limits: ClearingLimits = LIMITS) -> Clearing:
    """Return a clearing with its participants listed; bank A has a small cap in euros, the others ample ones."""
    return listed(Clearing(StageUnderTest(a_stage(limits))))


def listed(clearing: Clearing) -> Clearing:
    """Return ``clearing`` once it has heard of the participants."""
    caps = {"EUR": CAP_MINOR, "GBP": 100_000_000_00}
    foreign = ("sct-inst-foreign",)
    clearing.stage.broadcast(
        a_participant(BANK_A, caps=caps),
        a_participant(BANK_B),
        a_participant(BANK_C),
        a_participant(SPONSORED, settles_through=BANK_A),
        a_participant(ALSO_SPONSORED, settles_through=BANK_A),
        a_participant(FOREIGN_BANK, schemes=foreign),
        at_us=START_US,
    )
    return clearing


def an_order(transfer: CreditTransfer, scheme: str = "sct-inst") -> PaymentAuthorised:
    """Return the hub's instruction for ``transfer``, with the accounts that the directory has for its sides."""
    through = {SPONSORED: BANK_A, ALSO_SPONSORED: BANK_A}
    debtor, creditor = transfer.debtor.agent, transfer.creditor.agent
    currency = transfer.amount.currency
    return PaymentAuthorised(
        transfer,
        scheme,
        settlement_account(through.get(debtor, debtor), currency),
        settlement_account(through.get(creditor, creditor), currency),
        score=0,
    )


@dataclass
class Clearing:
    """The stage, spoken to in words of the domain."""

    stage: StageUnderTest

    def order(
        self,
        number: int = 1,
        *,
        amount: Money | None = None,
        debtor: str = BANK_A,
        creditor: str = BANK_B,
        scheme: str = "sct-inst",
        at_us: int | None = None,
    ) -> PaymentAuthorised:
        """Let order ``number`` come, accepted as it comes; return it."""
        now_us = self.stage.now_us if at_us is None else at_us
        transfer = a_transfer(
            number,
            amount=amount,
            debtor=Party(PAYER, debtor),
            creditor=Party(PAYEE, creditor),
            accepted_us=now_us,
        )
        return self.take(an_order(transfer, scheme), at_us=at_us)

    def take(self, order: PaymentAuthorised, at_us: int | None = None) -> PaymentAuthorised:
        """Let ``order`` come under its key; return it."""
        self.stage.feed(order.debtor_settlement_account, order, at_us=at_us)
        return order

    def accept(self, order: PaymentAuthorised, at_us: int | None = None, responder: str | None = None) -> None:
        """Let the creditor's agent, or another, accept."""
        self.answer(replace(an_answer(order), responder=responder or order.transfer.creditor.agent), at_us)

    def reject(self, order: PaymentAuthorised, reason: str = "AC04", at_us: int | None = None) -> None:
        """Let the creditor's agent reject."""
        self.answer(replace(an_answer(order), accepted=False, reason=reason), at_us)

    def answer(self, answer: ParticipantAnswered, at_us: int | None = None) -> None:
        """Let ``answer`` come under its key."""
        self.stage.feed(answer.settlement_account, answer, at_us=at_us)

    def settle(
        self,
        number: int,
        amount: Money,
        debtor: str = BANK_A,
        creditor: str = BANK_B,
        scheme: str = "sct-inst",
    ) -> PaymentAuthorised:
        """Let order ``number`` come, be accepted and credited; return it."""
        order = self.order(number, amount=amount, debtor=debtor, creditor=creditor, scheme=scheme)
        self.accept(order)
        self.loop_back()
        return order

    def cut_off(self, cycle: int, at_us: int | None = None) -> None:
        """Schedule the cut-off of ``cycle`` and pass it; credits and markers come back."""
        at_us = self.stage.now_us + SECOND_US if at_us is None else at_us
        self.stage.broadcast(CutOffScheduled(cycle, at_us))
        self.stage.tick(at_us)
        self.loop_back()

    def settle_cycle(self, cycle: int) -> None:
        """Let the RTGS settle ``cycle``."""
        self.stage.broadcast(CycleSettled(cycle))

    def loop_back(self) -> None:
        """Bring back what the clearing has sent to itself, until it sends no more."""
        outputs = self.stage.publisher.outputs
        while records := [output.record for output in outputs if output.stream == CLEARING]:
            outputs[:] = [output for output in outputs if output.stream != CLEARING]
            self.stage.feed_bytes(*records)

    def restart(self) -> None:
        """Go on as another process would: with what was committed, and with what was published."""
        outputs = self.stage.publisher.outputs
        self.stage = self.stage.restarted()
        self.stage.publisher.outputs += outputs

    def outcomes(self) -> list[object]:
        """Return what was told to the projector so far."""
        return self.stage.emitted(OUTCOMES)

    def told(self, bic: str) -> list[object]:
        """Return what was sent to a participant so far."""
        return self.stage.emitted_to(OUTBOUND, bic)

    def confirmations(self, bic: str) -> list[PaymentConfirmed]:
        """Return how payments ended, as a participant was told."""
        return [event for event in self.told(bic) if isinstance(event, PaymentConfirmed)]

    def parked_because(self) -> list[str]:
        """Return the reasons of what was parked."""
        return [event.reason for event in self.stage.emitted(PARKED) if isinstance(event, Parked)]

    def nets(self, cycle: int) -> dict[str, int]:
        """Return the nets of a cycle by account, in minor units, as they were told."""
        netted = [event for event in self.outcomes() if isinstance(event, CycleNetted) and event.cycle == cycle]
        return {net.account: net.net_minor for event in netted for net in event.positions}

    def has_headroom(self, amount: Money, debtor: str = BANK_A) -> bool:
        """Say whether the debtor's agent could send ``amount`` now; nothing is left behind."""
        probe = Clearing(self.stage.copied())
        probe.order(0xFFFF, amount=amount, debtor=debtor, creditor=BANK_C)
        return bool(probe.told(BANK_C))

    def forget(self) -> None:
        """Look only at what comes from here on."""
        self.stage.forget_outputs()


def an_answer(order: PaymentAuthorised) -> ParticipantAnswered:
    """Return the acceptance of ``order`` by the creditor's agent."""
    transfer = order.transfer
    return ParticipantAnswered(
        transaction_id=transfer.transaction_id,
        instructing_agent=transfer.debtor.agent,
        responder=transfer.creditor.agent,
        settlement_account=order.debtor_settlement_account,
        accepted=True,
        reason="",
        answered_us=START_US,
    )


def account_of(clearing: Clearing, name: str) -> SettlementAccount:
    """Return what is kept of a settlement account."""
    row = keys.KEYED + hash_key(name) + bytes([POSITIONS]) + name.encode()
    kept = clearing.stage.store.get(row)
    return SettlementAccount(name) if kept is None else msgspec.msgpack.decode(kept, type=SettlementAccount)
