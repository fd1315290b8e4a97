"""kinesis-local, the Kinesis of the tests: one process for a whole run of pytest, started by the first who needs it.

It listens on two free ports of the loopback interface, keeps everything in memory, and ends with the run: when it is
told to, when the run dies (its stdin closes), and in any case after twenty minutes.

Whoever signs with another access key of twelve digits is another account, with streams of its own; so each test takes
an account that nobody had before, and never cleans up.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import time
from functools import cache
from itertools import count
from pathlib import Path
from socket import create_connection
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import pytest
from botocore.config import Config

from demo.lag import free_port
from demo.stack.needed import EMULATORS

REGION = "eu-west-1"
REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = EMULATORS / "kinesis-local"
PRELOADED = REPOSITORY / "demo" / "stack" / "loopback.cjs"
START_SECONDS_MAX = 30.0
TRIES_MAX = 3
"""Of ports: another process may take one between our look and the emulator's."""

_DURATIONS = ("CREATE_STREAM", "DELETE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "UPDATE_SHARD_COUNT")
_accounts = count(int(time.time() * 1000) % 10**8 * 1000 + 10**11)


class KinesisLocal:
    """The emulator, running."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="kinesis-local-")
        folder = Path(self._folder.name)
        shutil.copy(PACKAGE / "server.json", folder)
        self.port, tls = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._said = folder / "output.log"
        settings = {f"{name}_DURATION": "20ms" for name in _DURATIONS}
        settings |= {"KINESIS_MOCK_PLAIN_PORT": str(self.port), "KINESIS_MOCK_TLS_PORT": str(tls)}
        settings |= {"SHARD_LIMIT": "10000", "LOG_LEVEL": "ERROR"}
        with self._said.open("wb") as output:
            self._process = subprocess.Popen(
                ["node", "-r", str(PRELOADED), str(PACKAGE / "main.js")],
                cwd=folder,
                env={**os.environ, **settings},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self._await_port()
        except BaseException:
            self.stop()
            raise

    def client(self, account: str | None = None) -> Any:
        """Return a client of boto3, for an account of its own unless one is named."""
        return _session().client(
            "kinesis",
            aws_access_key_id=account or new_account(),
            aws_secret_access_key="any",
            endpoint_url=self.url,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=32),
        )

    def environment(self, account: str) -> dict[str, str]:
        """Return the variables by which a process of ours finds it."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "any"}

    def stop(self) -> None:
        """End the process, and whatever it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()

    def _await_port(self) -> None:
        until = time.monotonic() + START_SECONDS_MAX
        while True:
            if self._process.poll() is not None or time.monotonic() > until:
                said = self._said.read_text(errors="replace")[-2000:]
                raise OSError(f"kinesis-local does not answer on port {self.port}: {said}")
            try:
                create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return


def running() -> KinesisLocal:
    """Return the emulator; skip the test if it is not installed, and in CI let it fail."""
    missing = _what_is_missing()
    if missing is None:
        return _started()
    if os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


def new_account() -> str:
    """Return an account that has no streams."""
    return f"{next(_accounts):012d}"


@cache
def _session() -> Any:
    """Return one session for all clients: each reads a hundred milliseconds' worth of descriptions."""
    return boto3.session.Session(region_name=REGION)


@cache
def _started() -> KinesisLocal:
    for _ in range(TRIES_MAX - 1):
        try:
            emulator = KinesisLocal()
            break
        except OSError:
            continue
    else:
        emulator = KinesisLocal()
    atexit.register(emulator.stop)
    return emulator


def _what_is_missing() -> str | None:
    if shutil.which("node") is None:
        return "no node on the PATH: install Node.js 18 or later with npm, then run make, to test against kinesis-local"
    if not (PACKAGE / "main.js").exists():
        return f"kinesis-local is not in {PACKAGE.parent}: run make emulators"
    return None
