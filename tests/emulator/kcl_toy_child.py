"""The child of KCL's daemon for the toy stage: ``python -m tests.emulator.kcl_toy_child …``."""

from __future__ import annotations

import os
import sys


def main() -> int:
    to_daemon = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from agents.kcl import ChildPlan, run_shard
    from pipeline.settings import load_settings
    from tests.toy_stage import toy_stage

    return run_shard(ChildPlan.parse(sys.argv[1:]), toy_stage(), to_daemon, load_settings(os.environ))


if __name__ == "__main__":
    sys.exit(main())
