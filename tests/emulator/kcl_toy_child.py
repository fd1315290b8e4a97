"""The child of KCL's daemon for the toy stage: ``python -m tests.emulator.kcl_toy_child …``."""

from __future__ import annotations

import os
import sys

from pipeline.kcl_daemon import standard_streams


def main() -> int:
    line = standard_streams.take()
    from agents.kcl import ChildPlan, run_shard
    from pipeline.settings import load_settings
    from tests.toy_stage import toy_stage

    return run_shard(ChildPlan.parse(sys.argv[1:]), toy_stage(), line, load_settings(os.environ))


if __name__ == "__main__":
    sys.exit(main())
