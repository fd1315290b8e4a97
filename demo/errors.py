"""What keeps a run from its end."""

from __future__ import annotations


class RunError(Exception):
    """A run could not be started, or not be run to its end; the message says why."""
