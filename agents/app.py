"""The composition root: from settings to a worker that runs, every port chosen and every part made here.

A log is named ``local:DIR`` or ``kinesis:REGION``.  What a worker keeps lies below its data folder::

    state/        the stores of its shards, one folder each
    snapshots/    where another worker finds them
    scratch/      what is being fetched or copied; nothing in it outlives a start
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import agents
import pipeline
import schemas
from agents import topology
from agents.observation import PaymentMeter
from pipeline.faust_worker.ports import WorkerPorts
from pipeline.faust_worker.process import run_process
from pipeline.faust_worker.worker import Worker
from pipeline.kernel.agent import Stage
from pipeline.observe import logging
from pipeline.observe.metrics import Metrics
from pipeline.state.rocks import RocksSettings, RocksStores
from pipeline.state.snapshots import FolderSnapshots
from pipeline.stream_logs.naming import open_log, region_of
from pipeline.system_clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pipeline.ports import Clock, SnapshotStore
    from pipeline.settings import Settings

    OpenPorts = Callable[["WorkerPlan", Settings], WorkerPorts]

STAGES = {stage.name: stage for stage in vars(topology).values() if isinstance(stage, Stage)}
"""Every stage there is, by name."""
ALL_STAGES = "all"
S3 = "s3://"


class ForeignPackageError(ImportError):
    """Another distribution's package was imported under the name of one of ours."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What a worker is to do, as the command line says it."""

    log: str
    data: Path
    stages: tuple[str, ...]
    shards: Collection[str] | None = None
    """The shards to own; None for all."""


def check_packages() -> None:
    """Raise ``ForeignPackageError`` unless ``agents``, ``schemas`` and ``pipeline`` are parts of one installation.

    ``agents`` is also the import name of a well-known SDK, and instrumentation libraries look for that.
    """
    home = Path(str(pipeline.__file__)).resolve().parents[1]
    for package in (agents, schemas):
        found = Path(str(package.__file__)).resolve()
        if found.parents[1] != home:
            raise ForeignPackageError(
                f"the package {package.__name__!r} comes from {found}, not from {home}: "
                "uninstall the other distribution that has a package of that name"
            )


def stages_named(names: Sequence[str]) -> list[Stage]:
    """Return the stages of these names, or all for ``all``; ``KeyError`` for a name that is none."""
    if ALL_STAGES in names:
        return list(STAGES.values())
    return [STAGES[name] for name in dict.fromkeys(names)]


def open_ports(plan: WorkerPlan, settings: Settings) -> WorkerPorts:
    """Return what the worker of ``plan`` works with; runs in the event loop that the worker will run in."""
    clock = SystemClock()
    state = settings.state
    rocks = RocksSettings(state.block_cache_mib, state.write_buffers_mib, state.background_jobs)
    return WorkerPorts(
        log=open_log(plan.log, clock, settings.kinesis),
        stores=RocksStores(plan.data / "state", rocks),
        snapshots=_open_snapshots(plan, settings, clock),
        clock=clock,
        scratch=plan.data / "scratch",
    )


def _open_snapshots(plan: WorkerPlan, settings: Settings, clock: Clock) -> SnapshotStore:
    place, kept = settings.state.snapshots, settings.state.snapshots_kept
    if not place.startswith(S3):
        return FolderSnapshots(Path(place) if place else plan.data / "snapshots", kept)
    from pipeline.state.s3_snapshots import S3Snapshots  # noqa: PLC0415 - boto3 takes half a second to import
    from pipeline.stream_logs.kinesis_client import connect_to  # noqa: PLC0415

    bucket, _, prefix = place.removeprefix(S3).partition("/")
    return S3Snapshots(connect_to("s3", region_of(plan.log)), bucket, prefix, clock, kept)


def run_worker(plan: WorkerPlan, settings: Settings, open_ports: OpenPorts = open_ports) -> int:
    """Run the worker of ``plan`` until a signal stops it; return the process's exit code."""
    check_packages()
    logging.configure(settings.observe.log_level)
    metrics = Metrics()
    return run_process(partial(make_worker, plan, settings, metrics, open_ports), settings, metrics)


def make_worker(plan: WorkerPlan, settings: Settings, metrics: Metrics, open_ports: OpenPorts = open_ports) -> Worker:
    """Return the worker of ``plan``, not started; runs in the event loop that the worker will run in."""
    return Worker(
        worker_id=f"worker-{socket.gethostname()}-{os.getpid()}",
        stages=stages_named(plan.stages),
        wanted=plan.shards,
        ports=open_ports(plan, settings),
        settings=settings,
        metrics=metrics,
        make_application_meter=PaymentMeter,
    )
