"""AWS's services on this machine, each a process that listens on loopback and keeps everything in memory.

    Kinesis     kinesalite, by kinesis.cjs: ten times as fast as kinesis-local, on which the tests run
    DynamoDB    dynalite: leases of KCL, tables of the projector
    S3, KMS     moto: snapshots

What they keep ends with them, so a run whose emulator dies has failed.  They know no credentials: any will do, and
those of the person who runs this are never used.
"""

from __future__ import annotations

import asyncio
import os
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
"""An access key of twelve digits is an account to some emulators."""
START_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.05
_LOOPBACK = Path(__file__).with_name("loopback.cjs")
_OF_SOMEBODY = ("AWS_", "LOCALSTACK_")
_TABLE_MS = 20


class Emulators:
    """The processes, and how to reach them."""

    def __init__(self, folder: Path) -> None:
        """Keep what they say in ``folder``."""
        self._folder = folder
        self._kinesis, self._dynamodb, self._s3 = (free_port() for _ in range(3))
        self.members: Sequence[Member] = (self._kinesalite(), self._dynalite(), self._moto())

    @property
    def kinesis_port(self) -> int:
        """Of the emulator itself."""
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
            await until_listens(member, port, clock, until_us)

    def _kinesalite(self) -> Member:
        return self._node("kinesis", Path(__file__).with_name("kinesis.cjs"), str(self._kinesis))

    def _dynalite(self) -> Member:
        durations = (f"--{what}TableMs={_TABLE_MS}" for what in ("create", "update", "delete"))
        return self._node("dynamodb", EMULATORS / "dynalite" / "cli.js", f"--port={self._dynamodb}", *durations)

    def _moto(self) -> Member:
        arguments = ("demo.stack.aws_server", str(self._s3))
        return Member("s3", arguments, self._log_file("s3"), is_vital=True)

    def _node(self, name: str, script: Path, *arguments: str) -> Member:
        return Member(
            name,
            ("-r", str(_LOOPBACK), str(script), *arguments),
            self._log_file(name),
            settings={"NODE_PATH": str(EMULATORS), "AWS_REGION": REGION},
            program=("node",),
            is_vital=True,
        )

    def _log_file(self, name: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{name}.log"


async def until_listens(member: Member, port: int, clock: Clock, until_us: int) -> None:
    """Return when ``member`` takes connections; raise ``MemberFailedError`` if it ends, or has not by then."""
    while not await asyncio.to_thread(_listens, port):
        Fleet([member]).look_after()
        if clock.now_us() > until_us:
            raise MemberFailedError(f"{member.name} does not answer on port {port}:\n{member.last_words()}")
        await clock.sleep(LOOK_SECONDS)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
