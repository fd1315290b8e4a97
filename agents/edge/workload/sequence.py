"""What is submitted at each index: a pure function of a seed and the index.

Nothing is remembered from one index to the next, so a generator that was killed goes on at any index at once, and the
same seed gives the same payments, to the byte, in any process.  What refers to an earlier payment - a client's retry,
a second coffee - looks back from its own index to the nearest ordinary order.

    of 10,000 submissions
    200   retries       the same order again, half of them with the time of the first
    60    conflicts     the same identity under another payment id, with another amount
    60    bad data      not an order at all: see ``bad_data``
    150   same again    a new order that looks the same: not a repeat, and it must settle
    10    borrowed      another account's order under a transaction identity that its bank has used
    30    misdirected   to a bank that nobody knows, over the scheme's limit, or with too long a reference
    ~150  fraud         see ``typologies``
    the rest are ordinary orders
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from agents.edge.workload import bad_data, typologies
from agents.edge.workload.draws import TEN_THOUSAND, Draws
from agents.edge.workload.orders import Order, draw_amount, draw_purpose, make_order
from agents.edge.workload.population import ACCOUNTS_DEFAULT, SCHEME_OF_CURRENCY, Population, bic_of
from schemas.events import Party
from schemas.money import Money
from schemas.schemes.catalogue import SCHEMES

LOOK_BACK_MIN: Final = 20
LOOK_BACK_MAX: Final = 400
HUGE_EVERY, HUGE_AT = 6_000, 1_234
"""A megabyte is submitted once in so many, at that place."""
_ABROAD_PER_TEN_THOUSAND = 550
"""Of payments in euro."""
_STRANGER_PER_TEN_THOUSAND = 1_200
"""Of ordinary orders: to somebody whom the payer has not in their contacts."""
_CONTACTS = 8
_REMARK_PER_TEN_THOUSAND = 1_000
_UNKNOWN_BIC = bic_of(600, "GB")
_REMARK = " - with thanks, and see the invoice of last month; please quote the customer number in your answer"


class Kind(StrEnum):
    """What kind of thing is submitted."""

    ORDER = "order"
    RETRY = "retry"
    CONFLICT = "conflict"
    BAD_DATA = "bad-data"


class _Role(StrEnum):
    ORDINARY = "ordinary"
    RETRY = "retry"
    CONFLICT = "conflict"
    BAD_DATA = "bad-data"
    SAME_AGAIN = "same-again"
    BORROWED = "borrowed"
    MISDIRECTED = "misdirected"
    FRAUD = "fraud"
    HUGE = "huge"


_SHARES = (
    (_Role.RETRY, 200),
    (_Role.CONFLICT, 60),
    (_Role.BAD_DATA, 60),
    (_Role.SAME_AGAIN, 150),
    (_Role.BORROWED, 10),
    (_Role.MISDIRECTED, 30),
)


@dataclass(frozen=True, slots=True)
class Submission:
    """What is submitted at an index."""

    index: int
    kind: Kind
    label: str
    """What it is for, the fraud it belongs to, or what is wrong with it."""
    order: Order
    """For bad data: the good order that was spoilt."""
    accepted_index: int
    """The index whose time of acceptance it carries: its own, but for a retry that is the same to the byte."""

    @property
    def key(self) -> str:
        """The partition key."""
        return self.order.debtor.account


class Workload:
    """The submissions of a seed."""

    def __init__(self, seed: int, accounts: int = ACCOUNTS_DEFAULT) -> None:
        self.seed = seed
        self.population = Population(seed, accounts)
        self._role = lru_cache(maxsize=4 * LOOK_BACK_MAX)(self._draw_role)

    def at(self, index: int) -> Submission:
        """Return what is submitted at ``index``, from 0."""
        match self._role(index):
            case _Role.RETRY:
                return self._retry(index)
            case _Role.CONFLICT:
                return self._conflict(index)
            case _Role.BORROWED:
                return self._borrowed(index)
            case _Role.BAD_DATA:
                label = Draws(self.seed, "spoil", index).pick(tuple(bad_data.SPOILS))
                return Submission(index, Kind.BAD_DATA, label, self._ordinary(index)[1], index)
            case _Role.HUGE:
                return Submission(index, Kind.BAD_DATA, bad_data.HUGE, self._ordinary(index)[1], index)
            case _:
                label, order = self._order(index)
                return Submission(index, Kind.ORDER, label, order, index)

    def _draw_role(self, index: int) -> _Role:
        if index % HUGE_EVERY == HUGE_AT:
            return _Role.HUGE
        if typologies.step_at(index) is not None:
            return _Role.FRAUD
        drawn = Draws(self.seed, "role", index).below(TEN_THOUSAND)
        for role, share in _SHARES:
            if drawn < share:
                return role if index > LOOK_BACK_MAX or role is _Role.BAD_DATA else _Role.ORDINARY
            drawn -= share
        return _Role.ORDINARY

    def _earlier(self, index: int) -> int:
        """Return the index of an ordinary order, a while before ``index``."""
        earlier = index - Draws(self.seed, "look-back", index).between(LOOK_BACK_MIN, LOOK_BACK_MAX)
        while earlier > 0 and self._role(earlier) is not _Role.ORDINARY:
            earlier -= 1
        return earlier

    def _order(self, index: int) -> tuple[str, Order]:
        match self._role(index):
            case _Role.SAME_AGAIN:
                first = self._ordinary(self._earlier(index))[1]
                again = make_order(self.seed, index, first.debtor, first.creditor, first.amount, first.reference)
                return "same-again", again
            case _Role.MISDIRECTED:
                return self._misdirected(index)
            case _Role.FRAUD:
                return self._fraud(index)
            case _:
                return self._ordinary(index)

    def _ordinary(self, index: int) -> tuple[str, Order]:
        draws = Draws(self.seed, "order", index)
        population = self.population
        payer = population.payer(draws)
        purpose = draw_purpose(draws)
        if payer.currency == "EUR" and draws.happens(_ABROAD_PER_TEN_THOUSAND):
            payee = population.abroad(draws)
        elif draws.happens(_STRANGER_PER_TEN_THOUSAND):
            payee = population.payee(draws, payer.currency)
        else:
            payee = population.contact(payer, draws.small(_CONTACTS))
        if payee.party == payer.party:
            payee = population.contact(payer, _CONTACTS)
        reference = purpose.reference
        if payer.currency == "EUR" and draws.happens(_REMARK_PER_TEN_THOUSAND):
            reference += _REMARK
        amount = draw_amount(draws, purpose, payer.currency)
        return purpose.name, make_order(self.seed, index, payer.party, payee.party, amount, reference)

    def _retry(self, index: int) -> Submission:
        earlier = self._earlier(index)
        same_time = Draws(self.seed, "retry", index).happens(TEN_THOUSAND // 2)
        order = self._ordinary(earlier)[1]
        return Submission(index, Kind.RETRY, "retry", order, earlier if same_time else index)

    def _conflict(self, index: int) -> Submission:
        """Return an earlier order's identity under another payment id, as from a client that forgot its first key."""
        first = self._ordinary(self._earlier(index))[1]
        amount = Money(
            first.amount.minor + 100 * Draws(self.seed, "conflict", index).between(1, 50), first.amount.currency
        )
        other = make_order(self.seed, index, first.debtor, first.creditor, amount, first.reference)
        order = replace(other, transaction_id=first.transaction_id, end_to_end_id=first.end_to_end_id, uetr=first.uetr)
        return Submission(index, Kind.CONFLICT, "conflict", order, index)

    def _borrowed(self, index: int) -> Submission:
        """Return an order of another account of the same bank under a transaction identity used before."""
        first = self._ordinary(self._earlier(index))[1]
        debtor = Party(f"acct_{Draws(self.seed, 'borrower', index).token()}", first.debtor.agent)
        other = make_order(self.seed, index, debtor, first.creditor, first.amount, first.reference)
        return Submission(index, Kind.ORDER, "borrowed", replace(other, transaction_id=first.transaction_id), index)

    def _misdirected(self, index: int) -> tuple[str, Order]:
        order = self._ordinary(index)[1]
        scheme = SCHEMES[SCHEME_OF_CURRENCY[order.amount.currency]]
        if scheme.amount_minor_max is not None and index % 3 == 0:
            over = Money(scheme.amount_minor_max + 1 + order.amount.minor, order.amount.currency)
            return "over-scheme-limit", replace(order, amount=over)
        if scheme.reference_length_max < len(order.reference + _REMARK) and index % 3 == 1:
            return "reference-too-long", replace(order, reference=(order.reference + _REMARK)[:100])
        return "unknown-bank", replace(order, creditor=Party(order.creditor.account, _UNKNOWN_BIC))

    def _fraud(self, index: int) -> tuple[str, Order]:
        step = typologies.step_at(index)
        if step is None:
            message = f"index {index} is no step of a plot"
            raise ValueError(message)
        debtor, creditor, amount, reference = typologies.play(self.population, self.seed, step)
        return step.plot.name, make_order(self.seed, index, debtor.party, creditor.party, amount, reference)
