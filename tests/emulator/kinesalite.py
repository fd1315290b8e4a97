"""kinesalite, a second Kinesis for the contract of logs: another's reading of the same API.

It runs as kinesis-local does: on the loopback interface, in memory, once for a run of pytest.  It knows no accounts, so
whoever is done removes the streams.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from socket import create_connection, socket
from time import monotonic, sleep
from typing import Any

import boto3
import pytest
from botocore.config import Config

from demo.stack.needed import EMULATORS
from tests.emulator.kinesis_local import PRELOADED, REGION

PROGRAM = EMULATORS / "kinesalite" / "cli.js"
START_SECONDS_MAX = 30.0
_LOOK_SECONDS = 0.02


@contextmanager
def client() -> Iterator[Any]:
    """Return a client of boto3, and remove every stream in the end; skip the test if it is not installed."""
    missing = _what_is_missing()
    if missing is not None and os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    if missing is not None:
        pytest.skip(missing)
    kinesis = _started()
    try:
        yield kinesis
    finally:
        for stream in kinesis.list_streams()["StreamNames"]:
            kinesis.delete_stream(StreamName=stream)
        _until(lambda: not kinesis.list_streams()["StreamNames"])


@cache
def _started() -> Any:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    times = [f"--{what}StreamMs=20" for what in ("create", "delete", "update")]
    process = subprocess.Popen(
        ["node", "-r", str(PRELOADED), str(PROGRAM), f"--port={port}", "--shardLimit=10000", *times],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    atexit.register(process.wait)
    atexit.register(process.kill)
    _until(lambda: _listens(port))
    return boto3.client(
        "kinesis",
        region_name=REGION,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=32),
    )


def _until(holds: Callable[[], bool]) -> None:
    until = monotonic() + START_SECONDS_MAX
    while not holds():
        if monotonic() > until:
            raise TimeoutError("kinesalite does not do what it was told")
        sleep(_LOOK_SECONDS)


def _listens(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _what_is_missing() -> str | None:
    if shutil.which("node") is None:
        return "no node on the PATH: install Node.js 18 or later with npm, then run make, to test against kinesalite"
    if not PROGRAM.exists():
        return f"kinesalite is not in {PROGRAM.parent}: run make emulators"
    return None
