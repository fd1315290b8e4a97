"""What the tests on kinesis-local share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws_under_test import aws_server
from tests.emulator import kinesis_local, kinesis_under_test
from tests.emulator.faulty_client import FaultyClient
from tests.emulator.kcl_under_test import KclUnderTest, skip_unless_installed
from tests.log_under_test import LogUnderTest


@pytest.fixture
def client() -> FaultyClient:
    """Return a client of an account of its own, which does what it is told."""
    return FaultyClient(kinesis_local.running().client())


@pytest.fixture
def log(client: FaultyClient) -> Iterator[LogUnderTest]:
    """Return a log with a stream of one shard, through ``client``."""
    with kinesis_under_test.opened(client=client) as log:
        yield log


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[str]:
    skip_unless_installed()
    with aws_server() as address:
        yield address


@pytest.fixture
def kcl(dynamodb: str, tmp_path: Path) -> KclUnderTest:
    return KclUnderTest(dynamodb, tmp_path, shards=2)
