"""What the gateway carries by itself: ``python -m bench.gateway --tps 500 --count 5000`` prints its figures as JSON.

    clients                   what the simulated clients saw: answers, tries, p50 to p99 from due to answered
    cpu_ms_per_try            of the gateway's process, but for its start
    in_the_log                distinct payments on stream payments
    put_again                 records there beyond one for each payment
    reconciled                the log holds the payments that were accepted, all of them and no other

Gateway and clients are processes of their own on an embedded log; nothing else runs, so this is its cost and not the
system's: for that, ``payments demo --gateway``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.edge.reader import event_of
from agents.edge.simulated_clients import ANSWERS, SUMS
from agents.streams import ALL_STREAMS, PAYMENTS
from pipeline.kernel.envelope import decode
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock
from schemas.events import PaymentSubmitted

SHARDS = 4
READ_AT_ONCE = 2_000
ACCEPTED = 202
_find_address = re.compile(r"listening on (http://[0-9.:]+)").search


async def _create_streams(folder: Path) -> None:
    log = LocalLog(folder, SystemClock())
    for stream in ALL_STREAMS:
        await log.create_stream(stream, SHARDS)
    log.close()


async def _submitted(folder: Path) -> Counter[str]:
    """Return how often each payment is on the stream."""
    log = LocalLog(folder, SystemClock())
    found: Counter[str] = Counter()
    for shard in await log.shards(PAYMENTS):
        after = 0
        while records := (await log.read(PAYMENTS, shard.shard_id, after, READ_AT_ONCE)).records:
            after = records[-1].sequence
            for record in (record for each in records for record in each.user_records):
                event = event_of(decode(record))
                if isinstance(event, PaymentSubmitted):
                    found[event.transfer.payment_id] += 1
    log.close()
    return found


def _cpu_seconds(process_id: int) -> float:
    """Return what a process has used so far (Linux)."""
    fields = Path(f"/proc/{process_id}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Run gateway and clients in ``folder``, and return the figures."""
    asyncio.run(_create_streams(folder / "log"))
    where = ("--log", f"local:{folder / 'log'}", "--data", str(folder / "gateway"))
    gateway = subprocess.Popen(  # noqa: S603 - our own module, with arguments of our own
        [sys.executable, "-m", "agents.cli", "gateway", *where, "--open", "--listen", "127.0.0.1:0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = next(found[1] for line in gateway.stderr or () if (found := _find_address(line)))
        began = _cpu_seconds(gateway.pid)
        load = ("--gateway", address, "--tps", str(options.tps), "--count", str(options.count))
        data = ("--log", "none", "--data", str(folder / "clients"))
        subprocess.run([sys.executable, "-m", "agents.edge.simulated_clients", *data, *load], check=True)  # noqa: S603
        used = _cpu_seconds(gateway.pid) - began
    finally:
        gateway.terminate()
        gateway.communicate()
    clients = json.loads((folder / "clients" / SUMS).read_text("utf-8"))
    answers = map(json.loads, (folder / "clients" / ANSWERS).read_text("utf-8").splitlines())
    accepted = {answer["payment_id"] for answer in answers if answer["status"] == ACCEPTED}
    submitted = asyncio.run(_submitted(folder / "log"))
    return {
        "clients": clients,
        "cpu_ms_per_try": round(1_000 * used / clients["tries"], 2),
        "in_the_log": len(submitted),
        "put_again": submitted.total() - len(submitted),
        "reconciled": submitted.keys() == accepted,
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, and print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tps", type=float, default=500.0, help="payments a second (default: 500)")
    options.add_argument("--count", type=int, default=5_000, help="payments in all (default: 5000)")
    with TemporaryDirectory(prefix="payments-bench-gateway-") as folder:
        json.dump(measure(Path(folder), options.parse_args()), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
