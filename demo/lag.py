"""What a worker says on its health page: of itself, and how far each of its shards is behind."""

from __future__ import annotations

import json
import socket
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

ASKING_SECONDS_MAX = 0.2


class ShardLag(NamedTuple):
    """One shard of a stage."""

    stage: str
    shard: str
    lag_records: int
    lag_ms: float
    read_to: int
    """The sequence number of the last record that was committed."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def ask(port: int) -> list[ShardLag]:
    """Return the lag of every shard whose state the worker on ``port`` has; none if it does not answer now."""
    return [
        ShardLag(s["stage"], s["shard"], s["lag_records"], s["lag_ms"], int(s["position"].partition(".")[0]))
        for s in health(port).get("shards", ())
        if s["position"] is not None
    ]


def health(port: int) -> dict[str, Any]:
    """Return what the worker on ``port`` says of itself; nothing if it does not answer at the moment."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=ASKING_SECONDS_MAX) as answer:
            return dict(json.load(answer))
    except HTTPError as unhealthy:
        return dict(json.load(unhealthy))
    except (OSError, HTTPException, ValueError):
        return {}  # it is starting, or was killed; the fleet looks after it
