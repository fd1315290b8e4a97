"""A worker of the toy stage, run by KCL: ``python -m tests.emulator.kcl_toy_worker LOG DIR``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agents.app import WorkerPlan
from agents.kcl import supervise
from pipeline.settings import load_settings
from tests.toy_stage import toy_stage

if __name__ == "__main__":
    stage = toy_stage()
    plan = WorkerPlan(sys.argv[1], Path(sys.argv[2]), (stage.name,))
    sys.exit(supervise(plan, [stage], "tests.emulator.kcl_toy_fork_server", load_settings(os.environ)))
