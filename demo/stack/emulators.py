"""AWS's services on this machine, each a process that listens on loopback and keeps everything in memory.

    Kinesis     kinesis-local: the one that is exact under KCL through splits and merges
    DynamoDB    dynalite: leases of KCL, tables of the projector
    S3, KMS     moto: snapshots

What they keep ends with them, so a run whose emulator dies has failed.  They know no credentials: any will do, and
those of the person who runs this are never used.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from demo.fleet import Fleet, Member, MemberFailedError
from demo.lag import free_port
from demo.stack.needed import EMULATORS
from pipeline.ports import Clock

REGION = "eu-west-1"
ACCOUNT = "000000000000"
"""An access key of twelve digits is an account to kinesis-local."""
START_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.05
_LOOPBACK = Path(__file__).with_name("loopback.cjs")
_DURATIONS = ("CREATE_STREAM", "DELETE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "UPDATE_SHARD_COUNT")
_OF_SOMEBODY = ("AWS_", "LOCALSTACK_")
_TABLE_MS = 20


class Emulators:
    """The processes, and how to reach them."""

    def __init__(self, folder: Path) -> None:
        """Keep what they say in ``folder``."""
        self._folder = folder
        self._kinesis, self._kinesis_tls, self._dynamodb, self._s3 = (free_port() for _ in range(4))
        self.members: Sequence[Member] = (self._kinesis_local(), self._dynalite(), self._moto())

    @property
    def kinesis_port(self) -> int:
        """Of kinesis-local itself."""
        return self._kinesis

    def environment(self, kinesis_port: int | None = None) -> Mapping[str, str]:
        """Return our own environment, in which AWS is here; Kinesis behind ``kinesis_port`` if that is given."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_OF_SOMEBODY)}
        return own | {
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": _url(self._s3),
            "AWS_ENDPOINT_URL_DYNAMODB": _url(self._dynamodb),
            "AWS_ENDPOINT_URL_KINESIS": _url(kinesis_port or self._kinesis),
        }

    def client(self, service: str, config: Config | None = None) -> Any:  # noqa: ANN401 - boto3's clients have no types
        """Return a client of one of the services."""
        ports = {"kinesis": self._kinesis, "dynamodb": self._dynamodb}
        session = boto3.session.Session(ACCOUNT, "any", region_name=REGION)
        return session.client(service, endpoint_url=_url(ports.get(service, self._s3)), config=config)

    async def until_ready(self, clock: Clock) -> None:
        """Return when each of them takes connections; raise ``MemberFailedError`` if one does not."""
        until_us = clock.now_us() + round(START_SECONDS_MAX * 1_000_000)
        for member, port in zip(self.members, (self._kinesis, self._dynamodb, self._s3), strict=True):
            while not await asyncio.to_thread(_listens, port):
                Fleet([member]).look_after()
                if clock.now_us() > until_us:
                    message = f"{member.name} does not answer on port {port} after {START_SECONDS_MAX:.0f} s"
                    raise MemberFailedError(f"{message}:\n{member.last_words()}")
                await clock.sleep(LOOK_SECONDS)

    def _kinesis_local(self) -> Member:
        package, folder = EMULATORS / "kinesis-local", self._folder / "kinesis-local"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / "server.json", folder)
        settings = dict.fromkeys((f"{name}_DURATION" for name in _DURATIONS), "20ms")
        settings |= {"KINESIS_MOCK_PLAIN_PORT": str(self._kinesis), "KINESIS_MOCK_TLS_PORT": str(self._kinesis_tls)}
        settings |= {"SHARD_LIMIT": "10000", "LOG_LEVEL": "ERROR"}
        return self._node("kinesis-local", package / "main.js", settings=settings, works_in=folder)

    def _dynalite(self) -> Member:
        durations = (f"--{what}TableMs={_TABLE_MS}" for what in ("create", "update", "delete"))
        return self._node("dynalite", EMULATORS / "dynalite" / "cli.js", f"--port={self._dynamodb}", *durations)

    def _moto(self) -> Member:
        arguments = ("demo.stack.aws_server", str(self._s3))
        return Member("moto", arguments, self._log_file("moto"), is_vital=True)

    def _node(
        self,
        name: str,
        script: Path,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        works_in: Path | None = None,
    ) -> Member:
        return Member(
            name,
            ("-r", str(_LOOPBACK), str(script), *arguments),
            self._log_file(name),
            settings=settings or {},
            program=("node",),
            is_vital=True,
            works_in=works_in,
        )

    def _log_file(self, name: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{name}.log"


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
