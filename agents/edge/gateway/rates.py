"""How fast a client may ask: each has a bucket of tokens that fills at its rate and holds a second's worth."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from agents.edge.gateway.problems import Kind, Problem

if TYPE_CHECKING:
    from agents.edge.gateway.clients import Client

_MICROSECONDS: Final = 1_000_000


class Rates:
    """Counts the requests of all clients; there are as many buckets as clients."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, int]] = {}
        """Client -> what was in its bucket, and when."""

    def count(self, client: Client, now_us: int) -> None:
        """Take a token for a request, or raise ``Problem`` saying when there will be one."""
        rate = client.requests_per_second
        most = max(1.0, rate)
        held, since_us = self._buckets.get(client.name, (most, now_us))
        held = min(most, held + max(0, now_us - since_us) * rate / _MICROSECONDS)
        if held < 1:
            self._buckets[client.name] = (held, now_us)
            raise Problem(
                Kind.TOO_MANY_REQUESTS,
                f"{client.name} may ask {rate:g} times a second",
                retry_after_seconds=ceil((1 - held) / rate),
            )
        self._buckets[client.name] = (held - 1, now_us)
