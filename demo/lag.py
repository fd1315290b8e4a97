"""How far each shard is behind, as its worker says on its health page."""

from __future__ import annotations

import json
import socket
from http.client import HTTPException
from typing import NamedTuple
from urllib.request import urlopen

ASKING_SECONDS_MAX = 0.2


class ShardLag(NamedTuple):
    """One shard of a stage."""

    stage: str
    shard: str
    lag_records: int
    lag_ms: float


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def ask(port: int) -> list[ShardLag]:
    """Return the lag of every shard that the worker on ``port`` owns; none if it does not answer at the moment."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=ASKING_SECONDS_MAX) as answer:
            shards = json.load(answer)["shards"]
    except (OSError, HTTPException, ValueError):
        return []  # it is starting, or was killed; the fleet looks after it
    return [ShardLag(s["stage"], s["shard"], s["lag_records"], s["lag_ms"]) for s in shards]
