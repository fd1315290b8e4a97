"""What stops an edge process."""

from __future__ import annotations


class EdgeError(Exception):
    """An edge cannot go on; the message says why, and what to do."""
