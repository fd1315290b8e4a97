"""The application's events, for the engine: what ``schemas`` cannot decode is poison to a shard."""

from __future__ import annotations

from pipeline.errors import Poison
from schemas import codec
from schemas.errors import UndecodableEventError


class EventCodec:
    """The engine's ``Codec`` for the events of ``schemas``."""

    @staticmethod
    def encode(event: object) -> tuple[int, int, bytes]:
        """Return (kind, version, body)."""
        return codec.encode(event)

    @staticmethod
    def decode(kind: int, version: int, body: bytes) -> object:
        """Return the event, or raise ``Poison``."""
        try:
            return codec.decode(kind, version, body)
        except UndecodableEventError as failure:
            raise Poison(str(failure)) from None
