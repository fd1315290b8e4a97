"""A log on kinesis-local as a test speaks to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.ports import Clock
from pipeline.settings import KinesisSettings
from pipeline.stream_logs import aggregation
from pipeline.stream_logs.kinesis import KinesisLog
from pipeline.system_clock import SystemClock
from tests.emulator import kinesis_local
from tests.log_under_test import LogUnderTest

HURRIED = KinesisSettings(reads_per_second_max=1000.0, unavailable_seconds_max=5.0)
"""The emulator counts no reads."""
_FRAMING_BYTES = len(aggregation.pack(bytes(16), [bytes(1_000_000)])) - 1_000_000
USER_BYTES_MAX = aggregation.DATA_BYTES_MAX - _FRAMING_BYTES
"""Of one large user record under hash 0."""


class KinesisLogUnderTest(KinesisLog):
    """Kinesis, which nobody can tell to forget."""

    async def trim(self, stream: str, shard_id: str, before_us: int) -> int:
        raise NotImplementedError


@contextmanager
def opened(
    shards: int = 1, client: Any = None, settings: KinesisSettings = HURRIED, clock: Clock | None = None
) -> Iterator[LogUnderTest]:
    """Open a log in an account of its own, or through ``client``; make the stream unless ``shards`` is 0."""
    client = client or kinesis_local.running().client()
    log = KinesisLogUnderTest(client, clock or SystemClock(), "kinesis:test", settings)
    with LogUnderTest(log, shards, USER_BYTES_MAX) as under_test:
        yield under_test
    log.close()
