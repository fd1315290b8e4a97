"""What the simulated world tells everybody: who there is, when cycles are cut off, and who is off line for a while."""

from __future__ import annotations

from typing import Final

from agents.edge.workload.population import participants
from schemas.events import CutOffScheduled, ParticipantAvailabilityChanged, ParticipantListed

OUTAGE_EVERY: Final = 5_000
"""Outages come again after so many submissions."""
_OUTAGES: Final = ((4, 700, 1_000), (23, 1_900, 2_200), (9, 3_600, 3_900))
"""Number of a participant, and the places between which it is off line."""


def listings() -> list[ParticipantListed]:
    """Return the directory's entries."""
    return [participant.listing for participant in participants()]


def cut_offs(start_us: int, cycle_us: int, cycles: int) -> list[CutOffScheduled]:
    """Return the cut-offs of the first ``cycles`` cycles; the first is cut off ``cycle_us`` after the start."""
    return [CutOffScheduled(cycle, start_us + (cycle + 1) * cycle_us) for cycle in range(cycles)]


def availability_changes(first_index: int, count: int) -> list[ParticipantAvailabilityChanged]:
    """Return who goes off line, or comes back, at the indices from ``first_index`` on."""
    everybody = participants()
    changes = []
    for index in range(first_index, first_index + count):
        place = index % OUTAGE_EVERY
        for number, leaves_at, returns_at in _OUTAGES:
            if place in (leaves_at, returns_at):
                bic = everybody[number].listing.bic
                changes.append(ParticipantAvailabilityChanged(bic, available=place == returns_at))
    return changes


def control_events(
    start_us: int, cycle_us: int, cycles: int
) -> list[ParticipantListed | CutOffScheduled | ParticipantAvailabilityChanged]:
    """Return what must be known before the first payment; the same again changes nothing."""
    return [*listings(), *cut_offs(start_us, cycle_us, cycles)]
