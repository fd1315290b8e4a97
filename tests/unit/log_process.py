"""Another process that uses a log, and may die at any step.

    python -m tests.unit.log_process FOLDER DIE_AT put NAME COUNT BYTES HASH…
    python -m tests.unit.log_process FOLDER DIE_AT split SHARD HASH

``put`` puts records ``NAME/000000``… of about so many bytes, on the hashes in turn, and prints for each that landed its
number, shard and sequence number.  With DIE_AT above 0 the process kills itself before its DIE_AT-th change to the file
system, or in the middle of it if it is a write.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.ports import Entry, Landed
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock

STREAM = "payments"
STEPS = ("fsync", "fdatasync", "pwritev", "ftruncate", "mkdir", "replace", "rename", "link", "unlink", "rmdir")


def die_at(step: int) -> None:
    """Let this process die at its ``step``-th change to the file system."""
    steps_left = step
    write = os.pwritev

    def dying(name: str, change: Callable[..., Any]) -> Callable[..., Any]:
        def change_or_die(*arguments: Any, **named: Any) -> Any:
            nonlocal steps_left
            steps_left -= 1
            if steps_left == 0:
                if name == "pwritev":
                    file, pieces, offset = arguments
                    half = b"".join(pieces)
                    write(file, [half[: len(half) // 2]], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **named)

        return change_or_die

    for name in STEPS:
        setattr(os, name, dying(name, getattr(os, name)))


async def put(log: LocalLog, name: str, count: int, size: int, hashes: Sequence[int]) -> None:
    for i in range(count):
        user_record = b"%s/%06d" % (name.encode(), i)
        hashed = hashes[i % len(hashes)].to_bytes(16, "big")
        (landed,) = await log.put_records(STREAM, [Entry(hashed, [user_record, bytes(size)])])
        if not isinstance(landed, Landed):
            raise SystemExit(str(landed))
        sys.stdout.write(f"{i} {landed.shard_id} {landed.sequence}\n")
        sys.stdout.flush()


def main(folder: str, step: str, command: str, *arguments: str) -> None:
    log = LocalLog(Path(folder), SystemClock(), segment_bytes=100_000)
    if int(step):
        die_at(int(step))
    if command == "put":
        name, count, size, *hashes = arguments
        asyncio.run(put(log, name, int(count), int(size), [int(hashed, 16) for hashed in hashes]))
    elif command == "split":
        shard_id, at = arguments
        asyncio.run(log.split(STREAM, shard_id, int(at, 16)))
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
