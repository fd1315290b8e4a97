"""The process that those of all shards are forked from where KCL runs the worker; ``agents.kcl`` starts it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agents.kcl import run_payment_shard
from pipeline.kcl_daemon import fork_server, standard_streams
from pipeline.settings import load_settings


def main(folder: Path) -> int:
    """Serve the launchers of ``folder``; in a process that was forked, be its shard."""
    arguments = fork_server.serve(folder)
    if arguments is None:
        return 0
    return run_payment_shard(arguments, standard_streams.take(), load_settings(os.environ))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
