"""What a worker says on its health page: of itself, and how far each of its shards is behind."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from http.client import HTTPException
from itertools import count, islice
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from demo.errors import RunError

ASKING_SECONDS_MAX = 0.2
_PORTS = range(20_000, 32_000)
_numbers = count(os.getpid() * 97)
"""Where the search begins: runs side by side look at different ports."""


class ShardLag(NamedTuple):
    """One shard of a stage."""

    stage: str
    shard: str
    lag_records: int
    lag_ms: float
    read_to: int
    """The sequence number of the last record that was committed."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now.

    It lies below those that the system gives to connections: one of these could take it while who listens on it is
    started again.
    """
    for number in islice(_numbers, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise RunError(f"every port from {_PORTS.start} to {_PORTS.stop} is taken")


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
