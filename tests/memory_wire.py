"""The wire in one process: what is posted is read and taken by whoever is at the address, as by an inbox.

A test can have requests, or replies, vanish: who posted waits for ever then, until it is killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agents.edge.wire.http_wire import in_one_document
from agents.edge.wire.port import OverloadedError, Refusal, Take, UnreachableError
from schemas.iso20022.messages import read_messages

STEPS_MAX = 50
"""Of the event loop, until nobody has anything to do but wait for somebody else's turn."""


class MemoryWire:
    """All addresses, and who is at each now."""

    def __init__(self) -> None:
        self.takers: dict[str, Take] = {}
        self.loses_requests = False
        self.loses_replies = False
        self.posted: list[bytes] = []

    async def post(self, address: str, documents: Sequence[bytes], seconds_max: float) -> Sequence[Refusal]:
        take = self.takers.get(address)
        if take is None:
            raise UnreachableError(f"nobody is at {address}")
        if self.loses_requests:
            await asyncio.Event().wait()
        self.posted += documents
        messages = read_messages(in_one_document(documents))
        assert [message.faults for message in messages] == [()] * len(documents)
        try:
            refusals = await take(messages)
        except OverloadedError:
            raise UnreachableError(f"{address} is overloaded") from None
        if self.loses_replies:
            await asyncio.Event().wait()
        return refusals


async def let_posts_arrive() -> None:
    """Let everything happen that does not wait for somebody's turn."""
    for _ in range(STEPS_MAX):
        await asyncio.sleep(0)
