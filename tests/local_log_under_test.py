"""The embedded log as a test opens it, and its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.stream_logs.local import LocalLog
from tests.log_under_test import FIRST_SHARD, STREAM, LogUnderTest
from tests.virtual_clock import VirtualClock

ONE_SEGMENT = 1 << 20


@contextmanager
def opened(
    folder: Path, segment_bytes: int = ONE_SEGMENT, clock: VirtualClock | None = None, shards: int = 1
) -> Iterator[LogUnderTest]:
    """Open the log in ``folder`` as one process does."""
    log = LocalLog(folder, clock or VirtualClock(), segment_bytes=segment_bytes)
    with LogUnderTest(log, shards) as under_test:
        yield under_test
    log.close()


def shard_folder(folder: Path, shard_id: str = FIRST_SHARD) -> Path:
    return folder / "streams" / STREAM / shard_id


def segments(folder: Path) -> list[Path]:
    """Return the segment files of the first shard, in order."""
    return sorted(shard_folder(folder).glob("*.segment"))


def failing(failure: int, do_before: Callable[..., Any] = lambda *_: None) -> Callable[..., Any]:
    """Return a system call that fails."""

    def system_call(*arguments: Any) -> None:
        do_before(*arguments)
        raise OSError(failure, os.strerror(failure))

    return system_call
