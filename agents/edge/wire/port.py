"""What a side of a link asks of the wire, and how the other side takes what comes.

A post carries messages to one address.  It has succeeded when the other side has said that it holds them durably, all
but those that it refuses; a message that was refused is not there, and would be refused again.  When a post fails,
nobody knows whether it arrived.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from schemas.iso20022.messages import Message


class UnreachableError(Exception):
    """Nobody knows whether the other side has what was posted; the message says why."""


class OverloadedError(Exception):
    """So much waits to be taken in that no more is taken now; the other side is to come again."""


class Refusal(NamedTuple):
    """Why one message of a post was not taken."""

    number: int
    """Of the message in the post, from 0."""
    path: str
    rule: str
    message: str


class Wire(Protocol):
    """The way to the other side."""

    async def post(self, address: str, documents: Sequence[bytes], seconds_max: float) -> Sequence[Refusal]:
        """Post messages and return which of them the other side refused; it has the others.

        ``UnreachableError`` if it says nothing within ``seconds_max``, or nothing that can be understood.
        """


Take = Callable[[Sequence[Message]], Awaitable[Sequence[Refusal]]]
"""Takes valid messages in, durably, and returns which of them are refused, and why.  May raise ``OverloadedError``."""
