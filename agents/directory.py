"""Who can be paid, by which scheme, and through whom they settle: every shard's copy of the participants' directory.

Entries and availability come from the control shard as broadcasts; of two, the later one counts on every shard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.table_numbers import AVAILABILITY, DIRECTORY
from pipeline.kernel.tables import MessagePackValues
from schemas.events import ParticipantAvailabilityChanged, ParticipantListed

if TYPE_CHECKING:
    from pipeline.kernel.agent import Context, Handlers
    from pipeline.kernel.tables import BroadcastTable, Tables

_ENTRIES = MessagePackValues(ParticipantListed)
_CHANGES = MessagePackValues(ParticipantAvailabilityChanged)


class Directory:
    """The first agent of a stage that needs to know participants; the agents behind it look them up here."""

    def __init__(self, tables: Tables) -> None:
        self.revision = 0
        """Rises whenever an answer of this directory may have changed: for those who keep what they drew from it."""
        self._entries: BroadcastTable[ParticipantListed] = tables.broadcast(DIRECTORY, _ENTRIES)
        self._availability: BroadcastTable[ParticipantAvailabilityChanged] = tables.broadcast(AVAILABILITY, _CHANGES)

    def handlers(self) -> Handlers:
        """Return what this agent handles."""
        return {ParticipantListed: self.list_participant, ParticipantAvailabilityChanged: self.change_availability}

    def list_participant(self, entry: ParticipantListed, _ctx: Context) -> None:
        """Keep a participant's entry."""
        self.revision += 1
        self._entries.put(entry, entry.bic.encode())

    def change_availability(self, change: ParticipantAvailabilityChanged, _ctx: Context) -> None:
        """Keep whether a participant is on line."""
        self.revision += 1
        self._availability.put(change, change.bic.encode())

    def find(self, bic: str) -> ParticipantListed | None:
        """Return the entry of ``bic``, or None for a bank that is no participant."""
        return self._entries.get(bic.encode())

    def is_available(self, bic: str) -> bool:
        """Say whether ``bic`` is on line, as far as this shard has heard."""
        change = self._availability.get(bic.encode())
        if change is not None:
            return change.available
        entry = self.find(bic)
        return entry is not None and entry.available
