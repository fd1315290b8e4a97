"""What can be wrong with a message before and behind its structure."""

from __future__ import annotations


class UnreadableDocumentError(ValueError):
    """Bytes that are no XML document that is read here; the message says why, on one line."""


class NotConvertibleError(ValueError):
    """A valid message, or a transaction of one, that says less or more than the event can; the message says what."""


class NoSchemaError(Exception):
    """ISO's schema of a message is wanted, and not there; the message says where it was looked for."""
