"""What clients order in a simulated world, and how each order may end: drawn from a seed, without asking the product.

An order's ``allowed`` endings are what an honest bank could be told whatever faults happen meanwhile.  A payment that
its receiver accepts in time may settle; faults may also make it late, so it may expire or be refused.  What a receiver
rejects may never settle, whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from random import Random
from typing import Final
from uuid import UUID

from chaos.virtual_time import HOUR_US, SECOND_US
from schemas.events import CreditTransfer, ParticipantListed, Party
from schemas.money import Money

PROVIDERS: Final = 6
FOREIGN: Final = "FRGNUS33"
"""Reached through a clearing that is not ours, which answers when it likes."""
SPONSORED: Final = "SPONDEFF"
"""Settles through the first bank."""
UNLISTED: Final = "NOPEDEFF"
ACCOUNTS_A_BANK: Final = 6
CAP_MINOR: Final = 100_000_00
TIGHT_CAP_MINOR: Final = 500_00
"""Of the second and third bank: it binds."""
_STOLEN_MINOR: Final = 1_00
"""Little, so that no cap refuses it: that its transaction is claimed must."""
RECENT_US: Final = 60 * SECOND_US


class Ending(StrEnum):
    """How an order may end."""

    SETTLED = "settled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    HELD = "held"
    REPEATED = "repeated"
    CONFLICTED = "conflicted"
    PARKED = "parked"
    LIMBO = "limbo"


class Answers(StrEnum):
    """How the receiving participant answers."""

    ACCEPTS = "accepts"
    REJECTS = "rejects"
    ACCEPTS_LATE = "accepts late"
    ACCEPTS_TWICE = "accepts twice"
    CONTRADICTS = "accepts, then rejects"
    CONTRADICTS_FIRST = "rejects, then accepts"
    NEVER = "never"
    ACCEPTS_WHEN_ASKED = "accepts when asked"
    REJECTS_WHEN_ASKED = "rejects when asked"


class OrderKind(StrEnum):
    """What a client sends."""

    PLAIN = "plain"
    BOOK = "inside one bank"
    UNREACHABLE = "to a bank that is none"
    OVER_LIMIT = "over the scheme's limit"
    ANCIENT = "accepted before claims reach back"
    AHEAD = "accepted far in the future"
    CONFLICT = "same identity, other content"
    RENAMED = "same identity and content under another payment id"
    STOLEN = "same transaction under another account, later and for less"


_REFUSABLE: Final = frozenset({Ending.REJECTED, Ending.HELD})
_ALLOWED: Final = {
    OrderKind.BOOK: frozenset({Ending.SETTLED}) | _REFUSABLE,
    OrderKind.UNREACHABLE: frozenset({Ending.REJECTED}),
    OrderKind.OVER_LIMIT: frozenset({Ending.REJECTED}),
    OrderKind.ANCIENT: frozenset({Ending.REJECTED}),
    OrderKind.AHEAD: frozenset({Ending.PARKED}),
    OrderKind.CONFLICT: frozenset({Ending.CONFLICTED}),
    OrderKind.RENAMED: frozenset({Ending.REPEATED}),
}
_OF_ANSWERS: Final = {
    Answers.ACCEPTS: {Ending.SETTLED, Ending.EXPIRED},
    Answers.ACCEPTS_TWICE: {Ending.SETTLED, Ending.EXPIRED},
    Answers.CONTRADICTS: {Ending.SETTLED, Ending.EXPIRED},
    Answers.CONTRADICTS_FIRST: {Ending.EXPIRED},
    Answers.REJECTS: {Ending.EXPIRED},
    Answers.ACCEPTS_LATE: {Ending.EXPIRED},
    Answers.NEVER: {Ending.EXPIRED},
}
_OF_FOREIGN_ANSWERS: Final = {
    Answers.ACCEPTS: {Ending.SETTLED},
    Answers.REJECTS: set[Ending](),
    Answers.ACCEPTS_WHEN_ASKED: {Ending.SETTLED},
    Answers.REJECTS_WHEN_ASKED: set[Ending](),
    Answers.NEVER: {Ending.LIMBO},
}
_KINDS: Final = {
    OrderKind.PLAIN: 85,
    OrderKind.BOOK: 4,
    OrderKind.UNREACHABLE: 1,
    OrderKind.OVER_LIMIT: 1,
    OrderKind.ANCIENT: 1,
    OrderKind.AHEAD: 1,
    OrderKind.CONFLICT: 2,
    OrderKind.RENAMED: 2,
    OrderKind.STOLEN: 4,
}
_ANSWERS: Final = {
    Answers.ACCEPTS: 82,
    Answers.REJECTS: 5,
    Answers.ACCEPTS_LATE: 3,
    Answers.ACCEPTS_TWICE: 4,
    Answers.CONTRADICTS: 2,
    Answers.CONTRADICTS_FIRST: 1,
    Answers.NEVER: 3,
}
_FOREIGN_ANSWERS: Final = {
    Answers.ACCEPTS: 60,
    Answers.REJECTS: 5,
    Answers.ACCEPTS_WHEN_ASKED: 25,
    Answers.REJECTS_WHEN_ASKED: 6,
    Answers.NEVER: 4,
}
_AGAIN: Final = frozenset({OrderKind.CONFLICT, OrderKind.RENAMED, OrderKind.STOLEN})


@dataclass(frozen=True, slots=True)
class Order:
    """An order, how its receiver will answer, and how it may end."""

    number: int
    kind: OrderKind
    transfer: CreditTransfer
    answers: Answers
    allowed: frozenset[Ending]

    @property
    def payment_id(self) -> str:
        """The identity that outcomes carry."""
        return self.transfer.payment_id


def bank(number: int) -> str:
    """Return the BIC of a bank."""
    return f"BANKDE0{number}"


_TIGHT: Final = (bank(1), bank(2))


def listings() -> list[ParticipantListed]:
    """Return the directory: banks, some with tight caps, one that settles through another, one abroad."""
    domestic = ("sct-inst", "fps")
    banks = []
    for number in range(PROVIDERS):
        cap = TIGHT_CAP_MINOR if bank(number) in _TIGHT else CAP_MINOR
        caps = {"EUR": cap, "GBP": cap}
        banks.append(ParticipantListed(bank(number), bank(number), domestic, caps, available=True))
    caps = {"EUR": CAP_MINOR}
    return [
        *banks,
        ParticipantListed(SPONSORED, bank(0), domestic, {}, available=True),
        ParticipantListed(FOREIGN, FOREIGN, ("sct-inst-foreign",), caps, available=True),
    ]


class Workload:
    """Draws orders one after another."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._recent: list[tuple[int, Order]] = []
        self.orders: dict[str, Order] = {}
        """By payment id."""

    def draw(self, now_us: int) -> Order:
        """Return the next order, given by a client at ``now_us``."""
        random, number = self._random, len(self.orders)
        (kind,) = random.choices(tuple(_KINDS), tuple(_KINDS.values()))
        self._recent = [(at_us, order) for at_us, order in self._recent if at_us > now_us - RECENT_US]
        if kind in _AGAIN:
            if not self._recent:
                kind = OrderKind.PLAIN
            else:
                return self._keep(self._again(number, kind, self._to_take_over(kind), now_us))
        return self._keep(self._fresh(number, kind, now_us))

    def note_sent(self, order: Order, now_us: int) -> None:
        """Let an order that the log has taken be sent again, or its identity be taken over."""
        if order.kind is OrderKind.PLAIN:
            self._recent.append((now_us, order))

    def forget(self) -> None:
        """Let nobody send again what was sent until now: it may be older than claims reach."""
        self._recent.clear()

    def recent(self) -> Order | None:
        """Return an order that a client may send again, or None."""
        return self._random.choice(self._recent)[1] if self._recent else None

    def _keep(self, order: Order) -> Order:
        self.orders[order.payment_id] = order
        return order

    def _fresh(self, number: int, kind: OrderKind, now_us: int) -> Order:
        random = self._random
        debtor_bank = random.choice([*(bank(n) for n in range(PROVIDERS)), SPONSORED])
        others = [*(bank(n) for n in range(PROVIDERS) if bank(n) != debtor_bank), FOREIGN]
        currency = random.choice(("EUR", "EUR", "GBP"))
        creditor_bank = random.choice(others)
        accepted_us, minor = now_us, self._amount(debtor_bank)
        if kind is OrderKind.BOOK:
            creditor_bank = debtor_bank
        elif kind is OrderKind.UNREACHABLE:
            creditor_bank = UNLISTED
        elif kind is OrderKind.OVER_LIMIT:
            currency, minor, creditor_bank = "GBP", 100_000_001, others[0]
        elif kind is OrderKind.ANCIENT:
            accepted_us = now_us - 30 * HOUR_US
        elif kind is OrderKind.AHEAD:
            accepted_us = now_us + HOUR_US
        if creditor_bank == FOREIGN:
            currency = "EUR"
        transfer = CreditTransfer(
            payment_id=f"pay-{number}",
            transaction_id=f"TX{number}",
            end_to_end_id="NOTPROVIDED",
            uetr=str(UUID(int=random.getrandbits(128), version=4)),
            debtor=self._account(debtor_bank),
            creditor=self._account(creditor_bank),
            amount=Money(minor, currency),
            accepted_us=accepted_us,
        )
        table = _FOREIGN_ANSWERS if creditor_bank == FOREIGN else _ANSWERS
        (answers,) = random.choices(tuple(table), tuple(table.values()))
        return Order(number, kind, transfer, answers, _allowed(kind, transfer, answers))

    def _to_take_over(self, kind: OrderKind) -> Order:
        """Return a recent order; if its transaction is to be stolen, often one that its bank's cap may have refused."""
        recent = [order for _, order in self._recent]
        tight = [order for order in recent if order.transfer.debtor.agent in _TIGHT]
        may_be_refused = kind is OrderKind.STOLEN and tight
        return self._random.choice(self._random.choice((tight, recent)) if may_be_refused else recent)

    def _again(self, number: int, kind: OrderKind, first: Order, now_us: int) -> Order:
        """Return an order that takes over another one's identity."""
        transfer = replace(first.transfer, payment_id=f"pay-{number}")
        if kind is OrderKind.CONFLICT:
            transfer = replace(transfer, amount=Money(transfer.amount.minor + 1, transfer.amount.currency))
        elif kind is OrderKind.STOLEN:
            debtor, little = self._another_account(transfer), Money(_STOLEN_MINOR, transfer.amount.currency)
            transfer = replace(transfer, debtor=debtor, amount=little, accepted_us=now_us)
        return Order(number, kind, transfer, first.answers, _allowed(kind, transfer, first.answers))

    def _another_account(self, transfer: CreditTransfer) -> Party:
        """Return an account of the debtor's bank that has not claimed the transaction yet."""
        bic = transfer.debtor.agent
        claimed = {
            order.transfer.debtor.account
            for order in self.orders.values()
            if order.transfer.transaction_id == transfer.transaction_id
        }
        return Party(next(token for n in count() if (token := _token(bic, n)) not in claimed), bic)

    def _amount(self, debtor_bank: str) -> int:
        return self._random.randint(1_00, 300_00 if debtor_bank in _TIGHT else 500_00)

    def _account(self, bic: str) -> Party:
        return Party(_token(bic, int(ACCOUNTS_A_BANK * self._random.random() ** 2)), bic)


def _token(bic: str, number: int) -> str:
    return f"acct-{bic}-{number}"


def _allowed(kind: OrderKind, transfer: CreditTransfer, answers: Answers) -> frozenset[Ending]:
    if kind in _ALLOWED:
        return _ALLOWED[kind]
    by_answers = _OF_FOREIGN_ANSWERS if transfer.creditor.agent == FOREIGN else _OF_ANSWERS
    return frozenset(by_answers[answers]) | _REFUSABLE
