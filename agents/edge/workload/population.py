"""Who pays whom: forty participants, their caps, and accounts of which few are busy and many are not.

Participants' BICs have a 0 as the last character of the location code, which ISO 9362 gives to test codes, so none of
them is a bank's.  Some settle through a sponsor, some can be reached only by a foreign clearing, and three lean: two
pay out more than they take in, under caps low enough to bind now and then, and one takes in more.

The weight of an account falls with its rank by a power law, flat at the top: the busiest payer of 20,000 makes one
payment of two thousand, the busiest payee receives one of five hundred.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum
from itertools import accumulate
from typing import Final, NamedTuple

from agents.edge.workload.draws import Draws
from schemas.events import ParticipantListed, Party

ACCOUNTS_DEFAULT: Final = 20_000
FOREIGN_ACCOUNTS: Final = 200
CURRENCIES: Final = ("GBP", "EUR")
SCHEME_OF_CURRENCY: Final = {"GBP": "fps", "EUR": "sct-inst"}
FOREIGN_SCHEME: Final = "sct-inst-foreign"

WIDE_CAP_MINOR: Final = 5_000_000_000
TIGHT_CAP_MINOR: Final = 450_000
"""Of a participant that pays out more than it takes in: binds within some thousand payments."""

_PAYER_EXPONENT, _PAYER_FLAT = 0.75, 1_000
_PAYEE_EXPONENT, _PAYEE_FLAT = 0.9, 400
_WEIGHT_SCALE = 1 << 40
_LEAN_PER_TEN_THOUSAND = 6_000
"""How often a draw against a participant's lean is drawn again."""

EURO_COUNTRIES: Final = ("DE", "FR", "NL", "ES", "IT", "IE", "BE", "AT")


class Lean(Enum):
    """Which way a participant's payments go, on the whole."""

    NONE = "none"
    OUT = "out"
    IN = "in"


class Participant(NamedTuple):
    """A participant of the simulated world."""

    listing: ParticipantListed
    currencies: tuple[str, ...]
    weight: int
    """Of its share of the accounts."""
    lean: Lean
    foreign: bool


class Account(NamedTuple):
    """An account of the simulated world."""

    party: Party
    currency: str
    lean: Lean


def bic_of(number: int, country: str) -> str:
    """Return the test BIC of the ``number``-th participant."""
    letters = chr(ord("A") + number // 26) + chr(ord("A") + number % 26)
    return f"ZQ{letters}{country}X0"


def participants() -> tuple[Participant, ...]:
    """Return the forty participants: 18 British, 16 of the euro area, 3 with both currencies, 3 abroad."""
    british = [_participant(number, "GB", ("GBP",)) for number in range(18)]
    european = [_participant(18 + i, EURO_COUNTRIES[i % 8], ("EUR",)) for i in range(16)]
    both = [_participant(34 + i, "GB", ("GBP", "EUR")) for i in range(3)]
    abroad = [_participant(37 + i, EURO_COUNTRIES[i], ("EUR",), foreign=True) for i in range(3)]
    british[3] = _leaning(british[3], Lean.OUT)
    british[5] = _leaning(british[5], Lean.IN)
    european[2] = _leaning(european[2], Lean.OUT)
    for sponsored in (british[14], british[15], british[16], british[17]):
        british[british.index(sponsored)] = _sponsored(sponsored, british[1])
    for sponsored in (european[13], european[14], european[15]):
        european[european.index(sponsored)] = _sponsored(sponsored, european[0])
    return (*british, *european, *both, *abroad)


def _participant(number: int, country: str, currencies: tuple[str, ...], *, foreign: bool = False) -> Participant:
    schemes = (FOREIGN_SCHEME,) if foreign else tuple(SCHEME_OF_CURRENCY[currency] for currency in currencies)
    bic = bic_of(number, country)
    caps = dict.fromkeys(currencies, WIDE_CAP_MINOR)
    listing = ParticipantListed(bic, bic, schemes, caps, available=True)
    return Participant(listing, currencies, weight=1_000 // (number % 18 + 6), lean=Lean.NONE, foreign=foreign)


def _leaning(participant: Participant, lean: Lean) -> Participant:
    if lean is Lean.IN:
        return participant._replace(lean=lean)
    listed = participant.listing
    caps = dict.fromkeys(listed.caps, TIGHT_CAP_MINOR)
    listing = ParticipantListed(listed.bic, listed.settles_through, listed.schemes, caps, available=True)
    return participant._replace(listing=listing, lean=lean)


def _sponsored(participant: Participant, sponsor: Participant) -> Participant:
    listed = participant.listing
    listing = ParticipantListed(listed.bic, sponsor.listing.bic, listed.schemes, {}, available=True)
    return participant._replace(listing=listing)


class _Weighted:
    """Accounts with falling weights."""

    def __init__(self, accounts: list[Account], exponent: float, flat: int) -> None:
        weights = (round(_WEIGHT_SCALE * (rank + flat) ** -exponent) for rank in range(len(accounts)))
        self._sums = list(accumulate(weights))
        self._accounts = accounts

    def draw(self, draws: Draws) -> Account:
        return self._accounts[bisect_right(self._sums, draws.below(self._sums[-1]))]


class Population:
    """All accounts, and how a payer and a payee are drawn from them."""

    def __init__(self, seed: int, accounts: int = ACCOUNTS_DEFAULT) -> None:
        self.participants = participants()
        hosted = [participant for participant in self.participants if not participant.foreign]
        abroad = [participant for participant in self.participants if participant.foreign]
        self._seed = seed
        self._hosted = {currency: [p for p in hosted if currency in p.currencies] for currency in CURRENCIES}
        opened = _open_accounts(seed, "account", hosted, accounts)
        self._payers = _Weighted(opened, _PAYER_EXPONENT, _PAYER_FLAT)
        self._payees = {
            currency: _Weighted([a for a in opened if a.currency == currency], _PAYEE_EXPONENT, _PAYEE_FLAT)
            for currency in CURRENCIES
        }
        self._abroad = _open_accounts(seed, "abroad", abroad, FOREIGN_ACCOUNTS)

    def payer(self, draws: Draws) -> Account:
        """Draw who pays."""
        account = self._payers.draw(draws)
        if account.lean is Lean.IN and draws.happens(_LEAN_PER_TEN_THOUSAND):
            return self._payers.draw(draws)
        return account

    def payee(self, draws: Draws, currency: str) -> Account:
        """Draw who is paid in ``currency``."""
        account = self._payees[currency].draw(draws)
        if account.lean is Lean.OUT and draws.happens(_LEAN_PER_TEN_THOUSAND):
            return self._payees[currency].draw(draws)
        return account

    def contact(self, payer: Account, number: int) -> Account:
        """Return one of those whom ``payer`` pays again and again."""
        return self.payee(Draws(self._seed, "contact", payer.party.account, number), payer.currency)

    def abroad(self, draws: Draws) -> Account:
        """Draw an account that only the foreign clearing reaches."""
        return draws.pick(self._abroad)

    def fresh(self, draws: Draws, currency: str) -> Account:
        """Return an account that nobody has seen before, as a mule's is."""
        participant = draws.pick(self._hosted[currency])
        return Account(Party(f"acct_{draws.token()}", participant.listing.bic), currency, participant.lean)


def _open_accounts(seed: int, purpose: str, hosts: list[Participant], count: int) -> list[Account]:
    sums = list(accumulate(participant.weight for participant in hosts))
    accounts = []
    for number in range(count):
        draws = Draws(seed, purpose, number)
        host = hosts[bisect_right(sums, draws.below(sums[-1]))]
        currency = draws.pick(host.currencies)
        accounts.append(Account(Party(f"acct_{draws.token()}", host.listing.bic), currency, host.lean))
    return accounts
