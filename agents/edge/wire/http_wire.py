"""Posting over HTTP: connections are kept open, and a post is one request.

A post of several messages is one document, ``<Messages>`` around them, as clearing houses have files of their own; the
reader of messages does not mind what is around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aiohttp
import msgspec

from agents.edge.wire.port import Refusal, UnreachableError

CONTENT_TYPE: Final = "application/xml"
TAKEN: Final = 202
SOME_REFUSED: Final = 422
CONNECT_SECONDS_MAX: Final = 1.0
CONNECTIONS_PER_ADDRESS_MAX: Final = 8

_DECLARATION_END: Final = b"?>"
_read_refusals = msgspec.json.Decoder(list[Refusal]).decode
write_refusals = msgspec.json.Encoder().encode


class HttpWire:
    """The ``Wire`` of a process."""

    def __init__(self) -> None:
        """Open it inside the event loop that uses it."""
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS_PER_ADDRESS_MAX)
        self._session = aiohttp.ClientSession(connector=connector, headers={"Content-Type": CONTENT_TYPE})

    async def post(self, address: str, documents: Sequence[bytes], seconds_max: float) -> Sequence[Refusal]:
        """Post ``documents`` as one request."""
        timeout = aiohttp.ClientTimeout(total=seconds_max, connect=min(CONNECT_SECONDS_MAX, seconds_max))
        try:
            async with self._session.post(address, data=in_one_document(documents), timeout=timeout) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            raise UnreachableError(f"{address}: {type(failure).__name__} {failure}") from None
        if response.status == TAKEN:
            return ()
        if response.status != SOME_REFUSED:
            raise UnreachableError(f"{address}: answered {response.status}")
        try:
            refusals = _read_refusals(body)
        except msgspec.MsgspecError as failure:
            raise UnreachableError(f"{address}: refuses, and does not say what: {failure}") from None
        if any(not 0 <= refusal.number < len(documents) for refusal in refusals):
            raise UnreachableError(f"{address}: refuses what it was not sent")
        return refusals

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def in_one_document(documents: Sequence[bytes]) -> bytes:
    """Return one XML document that holds all ``documents``, which are in UTF-8."""
    if len(documents) == 1:
        return documents[0]
    return b"<Messages>%s</Messages>" % b"".join(map(_without_declaration, documents))


def _without_declaration(document: bytes) -> bytes:
    return document.partition(_DECLARATION_END)[2] if document.startswith(b"<?xml") else document
