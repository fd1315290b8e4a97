"""A worker process of the toy stage, on an embedded log: ``python -m tests.e2e.toy_worker DIR [repaired]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipeline.faust_worker.ports import WorkerPorts
from pipeline.faust_worker.process import run_process
from pipeline.faust_worker.worker import Worker
from pipeline.observe.logging import configure
from pipeline.observe.metrics import Metrics
from pipeline.settings import load_settings
from pipeline.state.rocks import RocksStores
from pipeline.state.snapshots import FolderSnapshots
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock
from tests.toy_stage import toy_stage


def main(folder: Path, *, repaired: bool) -> int:
    settings, metrics, clock = load_settings(os.environ), Metrics(), SystemClock()
    configure(settings.observe.log_level)

    def make() -> Worker:
        data = folder / "data"
        ports = WorkerPorts(
            log=LocalLog(folder / "log", clock),
            stores=RocksStores(data / "state"),
            snapshots=FolderSnapshots(data / "snapshots"),
            clock=clock,
            scratch=data / "scratch",
        )
        return Worker(f"worker-{os.getpid()}", [toy_stage(repaired=repaired)], None, ports, settings, metrics)

    return run_process(make, settings, metrics)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), repaired="repaired" in sys.argv[2:]))
