"""What can be wrong with an event's bytes."""

from __future__ import annotations


class UndecodableEventError(ValueError):
    """Bytes that are not the event they claim to be; the message says why."""
