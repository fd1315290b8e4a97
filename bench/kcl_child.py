"""What it costs to hear payments from KCL's daemon rather than to read them from the embedded log.

The same records both ways.  From the log as a worker reads them; from a daemon as lines on a pipe, each a message with
about as many payments as a batch has, which is answered before the next comes.  Here the daemon is a process that has
all lines ready (``bench.kcl_daemon``): what Java spends is not in it, and what is spent here is all of it - the thread
that reads the pipe, the way to the event loop, JSON, base64, and putting the user records back into their records.

    python -m bench.kcl_child PREPARED SCRATCH

prints a ``KclMeasurement`` as JSON.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import typer

from agents.streams import PAYMENTS
from bench.measurement import KclMeasurement, Spent, now, pin_to_one_core
from bench.prepared import Prepared
from pipeline.ports import Record
from pipeline.settings import WorkerSettings
from pipeline.stream_logs import kcl
from pipeline.stream_logs.kcl_pipe import DaemonPipe
from pipeline.stream_logs.kinesis_numbers import kinesis_number
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock

_ANCHOR = 1 << 41
"""As Kinesis's sequence numbers begin; the log's own make up the rest."""
_US_PER_MS = 1_000


def measure(prepared_folder: Path, scratch: Path) -> KclMeasurement:
    """Return what it costs to come by all prepared orders; ``scratch`` must not exist."""
    shutil.copytree(prepared_folder / "log", scratch / "log")
    prepared = msgspec.json.decode((prepared_folder / "prepared.json").read_bytes(), type=Prepared)
    batches = asyncio.run(_read(scratch, prepared))[0]
    lines = scratch / "lines"
    with lines.open("wb") as file:
        file.writelines(_lines(batches))
    payments = sum(len(record.user_records) for batch in batches for record in batch)
    del batches
    command = [sys.executable, "-m", "bench.kcl_daemon", str(lines)]
    daemon = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - a module of ours
    pin_to_one_core()
    try:
        from_the_log = asyncio.run(_read(scratch, prepared))[1]
        from_the_daemon = asyncio.run(_hear(*_pipes(daemon), payments))
    finally:
        daemon.kill()
        daemon.wait()
    return KclMeasurement(payments, from_the_log, from_the_daemon)


async def _read(scratch: Path, prepared: Prepared) -> tuple[Sequence[Sequence[Record]], Spent]:
    """Return the orders, batch by batch, and what reading them cost."""
    log = LocalLog(scratch / "log", SystemClock())
    batches: list[Sequence[Record]] = []
    after = prepared.first_order
    began = now()
    while after < prepared.last_order:
        part = await log.read(PAYMENTS, prepared.shard_id, after, WorkerSettings().batch_user_records_max)
        batches.append(part.records)
        after = part.records[-1].sequence
    spent = now().less(began)
    log.close()
    return batches, spent


def _pipes(daemon: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO]:
    """Return what comes from the daemon and what goes to it."""
    return cast("BinaryIO", daemon.stdout), cast("BinaryIO", daemon.stdin)


async def _hear(from_daemon: BinaryIO, to_daemon: BinaryIO, payments: int) -> Spent:
    """Return what it cost to take every message in, and to answer it."""
    pipe = DaemonPipe(from_daemon, to_daemon)
    heard = 0
    began = now()
    while isinstance(message := await pipe.receive(), kcl.ProcessRecords):
        delivery = kcl.whole_records(message.records)
        heard += sum(len(record.user_records) for record in delivery.records)
        pipe.answer()
    spent = now().less(began)
    if heard != payments:
        raise ValueError(f"{heard} payments were heard of {payments}")
    return spent


def _lines(batches: Sequence[Sequence[Record]]) -> Iterator[bytes]:
    """Yield the messages that KCL's daemon writes for ``batches``."""
    for batch in batches:
        records = [
            {
                "action": "record",
                "data": b64encode(user_record).decode(),
                "partitionKey": "-",
                "sequenceNumber": str(kinesis_number(_ANCHOR, 2 * record.sequence + 4)),
                "subSequenceNumber": place,
                "approximateArrivalTimestamp": record.arrival_us / _US_PER_MS,
            }
            for record in batch
            for place, user_record in enumerate(record.user_records)
        ]
        message = {"action": "processRecords", "millisBehindLatest": 0, "records": records}
        yield msgspec.json.encode(message) + b"\n"


def _main(prepared: Path, scratch: Path) -> None:
    """Measure over what is prepared in a folder."""
    typer.echo(msgspec.json.encode(measure(prepared, scratch)))


if __name__ == "__main__":
    typer.run(_main)
