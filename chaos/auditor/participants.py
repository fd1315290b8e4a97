"""Who takes part, as everybody was told: whose account settles, how far it may go, and who is reached from afar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.events import ParticipantListed
from schemas.schemes.catalogue import SCHEMES


@dataclass(frozen=True, slots=True)
class Participants:
    """The directory of one world."""

    caps: Mapping[str, int]
    """Net sender cap by settlement account, ``BIC/currency``, in minor units."""
    settles_through: Mapping[str, str]
    """By BIC: whose settlement accounts it uses."""
    foreign: frozenset[str]
    """Reached through a clearing that is not ours and answers when it likes: at its deadline an outcome is unknown."""

    @classmethod
    def of(cls, listings: Sequence[ParticipantListed]) -> Participants:
        """Return what ``listings`` say."""
        return cls(
            caps={
                f"{entry.bic}/{currency}": cap
                for entry in listings
                if entry.settles_through == entry.bic
                for currency, cap in entry.caps.items()
            },
            settles_through={entry.bic: entry.settles_through for entry in listings},
            foreign=frozenset(
                entry.bic for entry in listings if any(SCHEMES[name].on_timeout == "hold" for name in entry.schemes)
            ),
        )

    def settlement_account(self, bic: str, currency: str) -> str:
        """Return the account that ``bic`` pays from."""
        return f"{self.settles_through[bic]}/{currency}"
