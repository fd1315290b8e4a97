"""What a vault is asked, whoever keeps it.

An account is known on the streams by its token.  The number behind it, and all that a message says beside its event -
names, addresses, the group header - lie in a vault.  Whoever builds a message for the world asks it; whoever decides,
scores or settles never does.

Everything is asked in batches: a vault may be a network away, and a batch is one sync where it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from agents.edge.errors import EdgeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from schemas.iso20022.walk import Content


class UnknownTokenError(EdgeError):
    """A token that this vault never gave; the message names it."""


class OtherRemainderError(EdgeError):
    """Under some of the ids another remainder was kept before; nothing was kept now."""

    def __init__(self, ids: Collection[str]) -> None:
        self.ids = frozenset(ids)
        super().__init__(f"another remainder was kept before of {', '.join(sorted(ids))}")


class Account(NamedTuple):
    """An account as one tenant names it."""

    tenant: str
    number: str
    """In its canonical form: ``accounts.canonical``."""


class VaultReader(Protocol):
    """Gives back what a vault keeps."""

    def numbers(self, tokens: Sequence[str]) -> list[str]:
        """Return the account number behind each token; ``UnknownTokenError`` names the first that has none."""

    def remainders(self, ids: Sequence[str]) -> list[Content | None]:
        """Return what was kept under each id, None where nothing was."""


class Vault(VaultReader, Protocol):
    """Keeps account numbers and remainders."""

    def tokens(self, accounts: Sequence[Account]) -> list[str]:
        """Return the token of each account, once the way back from it is durable.

        An account has the same token for ever, also when the key from which tokens of new accounts are made is another.
        A token does not tell its account to who has not the key.
        """

    def keep(self, remainders: Mapping[str, Content]) -> None:
        """Keep the remainder of a message under each id, durably: all of them or none.

        What was kept first stays.  The same again changes nothing; ``OtherRemainderError`` names the ids under
        which it is not the same.
        """

    def close(self) -> None:
        """Release what is held."""
