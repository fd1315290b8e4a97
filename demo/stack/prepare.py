"""Makes the streams and the bucket, where ``make stack`` has not: on AWS, LocalStack, or in containers.

    python -m demo.stack.prepare --log kinesis:REGION --bucket payments --shards 2

What is there already is left as it is.  The projector makes its table by itself, and KCL's worker its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress

from agents.streams import ALL_STREAMS, CONTROL
from pipeline.stream_logs.kinesis_client import connect_to
from pipeline.stream_logs.naming import open_log, region_of
from pipeline.system_clock import SystemClock


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    options = argparse.ArgumentParser(description="Make the streams and the bucket of the stack.")
    options.add_argument("--log", required=True, metavar="kinesis:REGION")
    options.add_argument("--bucket", required=True, help="of snapshots")
    options.add_argument("--shards", type=int, default=2, help="of each stream but control, which has one (default: 2)")
    return options


async def _make_streams(log_name: str, shards: int) -> None:
    log = open_log(log_name, SystemClock())
    try:
        for stream in ALL_STREAMS:
            await log.create_stream(stream, 1 if stream == CONTROL else shards)
    finally:
        log.close()


def main() -> int:
    """Make what is missing."""
    options = parser().parse_args()
    region = region_of(options.log)
    s3 = connect_to("s3", region)
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=options.bucket, CreateBucketConfiguration={"LocationConstraint": region})
    asyncio.run(_make_streams(options.log, options.shards))
    return 0


if __name__ == "__main__":
    sys.exit(main())
