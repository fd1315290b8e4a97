"""The process that the KCL daemon runs for one shard; its command line is made by ``agents.kcl``."""

from __future__ import annotations

import os
import sys

from pipeline.kcl_daemon import standard_streams


def main() -> int:
    """Take the line to the daemon, then serve it."""
    line = standard_streams.take()
    from agents.kcl import run_payment_shard  # noqa: PLC0415 - whoever prints something while imported prints to stderr
    from pipeline.settings import load_settings  # noqa: PLC0415

    return run_payment_shard(sys.argv[1:], line, load_settings(os.environ))


if __name__ == "__main__":
    sys.exit(main())
