"""What the simulated world tells everybody: who there is, when cycles are cut off, and who is off line for a while."""

from __future__ import annotations

from typing import Final

from agents.edge.workload.population import participants
from schemas.events import CutOffScheduled, ParticipantAvailabilityChanged, ParticipantListed

OUTAGE_EVERY: Final = 5_000
"""Outages come again after so many submissions."""
_OUTAGES: Final = ((4, 700, 1_000), (23, 1_900, 2_200), (9, 3_600, 3_900))
"""Number of a participant, and the places between which it is off line."""
_CHANGES: Final = tuple(
    (place, participants()[number].listing.bic, available)
    for number, leaves_at, returns_at in _OUTAGES
    for place, available in ((leaves_at, False), (returns_at, True))
)


def listings() -> list[ParticipantListed]:
    """Return the directory's entries."""
    return [participant.listing for participant in participants()]


def cut_offs(first_cycle: int, after_us: int, until_us: int, cycle_us: int) -> list[CutOffScheduled]:
    """Return the cut-offs from ``first_cycle`` on, one to every ``cycle_us`` behind ``after_us``, past ``until_us``."""
    count = max(0, (until_us - after_us) // cycle_us + 1)
    return [CutOffScheduled(first_cycle + number, after_us + (number + 1) * cycle_us) for number in range(count)]


def availability_changes(first: int, count: int) -> list[tuple[int, ParticipantAvailabilityChanged]]:
    """Return who goes off line, or comes back, at the ``count`` indices from ``first`` on, with the index."""
    return [
        (index, ParticipantAvailabilityChanged(bic, available=available))
        for index in range(first, first + count)
        for place, bic, available in _CHANGES
        if index % OUTAGE_EVERY == place
    ]
