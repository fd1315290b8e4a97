"""The authorise stage with a small directory, and a hand to feed it orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.streams import CLEARING, OUTCOMES
from agents.topology import AUTHORISE
from schemas.events import AccountCredited, CreditTransfer, PaymentAuthorised, PaymentSubmitted
from tests.builders import BANK_A, BANK_B, a_participant, a_party
from tests.stage_under_test import StageUnderTest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.state.memory import MemoryStore
    from schemas.events import ParticipantListed, Party
    from schemas.money import Money

FOREIGN_BANK = "FORNFRPP"
OFFLINE_BANK = "OFLNDEFF"
GBP_ONLY_BANK = "GBPOGB2L"

DIRECTORY: tuple[ParticipantListed, ...] = (
    a_participant(BANK_A),
    a_participant(BANK_B),
    a_participant(FOREIGN_BANK, settles_through=BANK_B, schemes=("sct-inst-foreign",)),
    a_participant(OFFLINE_BANK, available=False),
    a_participant(GBP_ONLY_BANK, schemes=("fps",)),
)


class Authorise(StageUnderTest):
    """The authorise stage under test."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(AUTHORISE, store)
        if store is None:
            self.broadcast(*DIRECTORY)

    def submit(self, *transfers: CreditTransfer, at_us: int | None = None) -> None:
        """Feed orders, each under its debtor's account."""
        for transfer in transfers:
            self.feed(transfer.debtor.account, PaymentSubmitted(transfer), at_us=at_us)

    def credit(self, account: str, amount: Money, *, debtor: Party | None = None, at_us: int | None = None) -> None:
        """Feed a credit to ``account``."""
        at_us = at_us or self.now_us
        credited = AccountCredited("payment-in", debtor or a_party("someone"), a_party(account, BANK_B), amount, at_us)
        self.feed(account, credited, at_us=at_us)

    def decisions(self) -> list[object]:
        """Return what happened to orders, in order, wherever it went."""
        return [
            self._event(output.record) for output in self.publisher.outputs if output.stream in {CLEARING, OUTCOMES}
        ]

    def authorised(self) -> list[str]:
        """Return the payment ids that went to the clearing."""
        return [event.transfer.payment_id for event in self.emitted(CLEARING) if isinstance(event, PaymentAuthorised)]

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Return every row of the state."""
        return self.store.scan(b"", b"\xff")

    def restarted(self) -> Authorise:
        """Return the stage as another process would find it."""
        again = Authorise(self.store)
        again.now_us = self.now_us
        return again
