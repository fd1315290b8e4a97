"""The fork server of the toy stage: ``python -m tests.emulator.kcl_toy_fork_server FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agents.kcl import ChildPlan, run_shard
from pipeline.kcl_daemon import fork_server, standard_streams
from pipeline.settings import load_settings
from tests.toy_stage import toy_stage


def main(folder: Path) -> int:
    arguments = fork_server.serve(folder)
    if arguments is None:
        return 0
    return run_shard(ChildPlan.parse(arguments), toy_stage(), standard_streams.take(), load_settings(os.environ))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
