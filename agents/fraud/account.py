"""What is remembered of one account in one currency, as payer and as payee.

An account is created on first sight; that is when it counts as opened.  Beside its windows it remembers whom it last
paid and who last paid it: the fingerprints of the latest few, the latest first.  That is enough to tell a first
payment from a habit, costs the same for a pensioner as for a power company, and forgets what is rare.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

from agents.fraud.windows import WINDOWS_BYTES_MAX, Windows

FINGERPRINT_BYTES: Final = 4
REMEMBERED_MAX: Final = 16
"""Counterparties on each side.  Who comes behind them counts as new again."""

_HEADER = Struct(">qqqBBB")
_REMEMBERED_BYTES_MAX = REMEMBERED_MAX * FINGERPRINT_BYTES

ACCOUNT_BYTES_MAX: Final = _HEADER.size + 2 * _REMEMBERED_BYTES_MAX + WINDOWS_BYTES_MAX


def fingerprint(account: str) -> bytes:
    """Return four bytes that stand for an account.

    Two accounts that share them can at worst look like old acquaintances, once in 250 million pairs; the tokens they
    are of cannot be chosen by their owners.
    """
    return crc32(account.encode()).to_bytes(FINGERPRINT_BYTES, "big")


class Account:
    """One account, changed in place."""

    __slots__ = ("opened_us", "payees", "payers", "seen_us", "told_step", "told_until_us", "windows")

    def __init__(self, opened_us: int, windows: Windows | None = None) -> None:
        self.opened_us = opened_us
        self.seen_us = opened_us
        """When it last paid, tried to, or was paid."""
        self.told_step = 0
        self.told_until_us = 0
        """Which risk as a payee every shard was told last, and until when that holds."""
        self.payees = b""
        self.payers = b""
        self.windows = windows or Windows()

    def encode(self) -> bytes:
        """Return the bytes to keep."""
        payees, payers = self.payees, self.payers
        header = _HEADER.pack(
            self.opened_us, self.seen_us, self.told_until_us, self.told_step, len(payees), len(payers)
        )
        return header + payees + payers + self.windows.encode()

    @classmethod
    def decode(cls, data: bytes) -> Account:
        """Return the account that :meth:`encode` wrote."""
        opened_us, seen_us, told_until_us, told_step, payees_bytes, payers_bytes = _HEADER.unpack_from(data)
        payers_at = _HEADER.size + payees_bytes
        windows_at = payers_at + payers_bytes
        account = cls(opened_us, Windows.decode(data[windows_at:]))
        account.seen_us, account.told_until_us, account.told_step = seen_us, told_until_us, told_step
        account.payees = data[_HEADER.size : payers_at]
        account.payers = data[payers_at:windows_at]
        return account


class AccountCodec:
    """Codes accounts for their table."""

    @staticmethod
    def encode(account: Account) -> bytes:
        """Return the bytes to keep."""
        return account.encode()

    @staticmethod
    def decode(data: bytes) -> Account:
        """Return the account that was kept."""
        return Account.decode(data)


def place_of(remembered: bytes, counterparty: bytes) -> int:
    """Return where ``counterparty`` stands among the ``remembered``, or -1."""
    at = remembered.find(counterparty)
    while at % FINGERPRINT_BYTES and at > 0:  # across two neighbours
        at = remembered.find(counterparty, at + 1)
    return at


def moved_to_front(remembered: bytes, counterparty: bytes, place: int) -> bytes:
    """Return ``remembered`` with ``counterparty``, which stood at ``place`` or nowhere (-1), as the latest."""
    if place == 0:
        return remembered
    if place < 0:
        return counterparty + remembered[: _REMEMBERED_BYTES_MAX - FINGERPRINT_BYTES]
    return counterparty + remembered[:place] + remembered[place + FINGERPRINT_BYTES :]
