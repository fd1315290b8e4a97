"""The composition root where KCL runs the worker: the supervisor of the daemons, and the process of one shard.

What a supervisor keeps lies below its data folder, beside what a worker keeps there::

    kcl/lock                          held by the supervisor: one for each data folder
    kcl/fork-server                   the socket where a shard's process is asked for
    kcl/status/                       what the children tell of their shards
    kcl/<stage>.properties            of the daemon, made at each start
    kcl/logback.xml

A child is a process of its own, forked from ``python -m agents.kcl_fork_server``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agents.app import STAGES, WorkerPlan, check_packages, open_ports, stages_named
from agents.observation import PaymentMeter
from pipeline.errors import PipelineError
from pipeline.faust_worker.kcl_child import ChildProcess
from pipeline.faust_worker.kcl_source import KclSource
from pipeline.faust_worker.worker import Worker
from pipeline.kcl_daemon import java, launcher, leases, lines, properties
from pipeline.kcl_daemon.daemon import Daemon
from pipeline.kcl_daemon.errors import DaemonSetupError
from pipeline.kcl_daemon.fork_server_process import kept_running
from pipeline.kcl_daemon.supervisor import COULD_NOT_GO_ON, Supervisor, only_one
from pipeline.observe.logging import about, configure
from pipeline.observe.metrics import Metrics
from pipeline.stream_logs.backoff import Backoff
from pipeline.stream_logs.kinesis_client import check_region, connect_to, is_redirected
from pipeline.stream_logs.naming import open_log, region_of
from pipeline.system_clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from pipeline.faust_worker.ports import WorkerPorts
    from pipeline.kernel.agent import Stage
    from pipeline.settings import Settings
    from pipeline.stream_logs.kcl_pipe import DaemonPipe

_MS_PER_SECOND = 1_000
RESTART_SECONDS_FIRST = 0.1
RESTART_SECONDS_LONGEST = 30.0
"""Between two starts of a daemon, or of the fork server, that goes on dying."""
TERM_SECONDS_BEYOND_GRACE = 10.0
"""KCL may take leases anew while it shuts down soon after a reshard, and so uses up its whole grace."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """What a child is to do, as its command line says it."""

    region: str
    stage: str
    data: Path
    statuses: Path

    def words(self, folder: Path) -> Sequence[str]:
        """Return the command line that starts a child, where the fork server's socket is in ``folder``."""
        launched = (sys.executable, "-I", "-S", str(launcher.__file__), str(folder))
        return (*launched, self.region, self.stage, str(self.data), str(self.statuses))

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> ChildPlan:
        """Return what :meth:`words` wrote behind the launcher's folder."""
        region, stage, data, statuses = arguments
        return cls(region, stage, Path(data), Path(statuses))


def run_kcl(plan: WorkerPlan, settings: Settings) -> int:
    """Run KCL's daemons for the stages of ``plan`` until a signal; return the process's exit code."""
    check_packages()
    return supervise(plan, stages_named(plan.stages), "agents.kcl_fork_server", settings)


def supervise(plan: WorkerPlan, stages: Sequence[Stage], fork_server: str, settings: Settings) -> int:
    """Run a daemon for each of ``stages``, whose children the module ``fork_server`` forks; return the exit code."""
    configure(settings.observe.log_level)
    folder = (plan.data / "kcl").resolve()
    try:
        with only_one(folder):
            return asyncio.run(_supervise(plan, stages, fork_server, settings, folder))
    except PipelineError as error:
        _log.error("%s", error, extra=about(error=type(error).__name__))
        return COULD_NOT_GO_ON


async def _supervise(
    plan: WorkerPlan, stages: Sequence[Stage], fork_server: str, settings: Settings, folder: Path
) -> int:
    clock, metrics = SystemClock(), Metrics()
    statuses = folder / "status"
    shutil.rmtree(statuses, ignore_errors=True)
    statuses.mkdir()
    (folder / "logback.xml").write_text(lines.LOGBACK, "utf-8")
    region = _region(plan.log)
    commands = [
        java.command(settings.kcl, folder / f"{stage.name}.properties", folder / "logback.xml") for stage in stages
    ]
    for stage in stages:
        child = ChildPlan(region, stage.name, plan.data.resolve(), statuses)
        await _prepare(stage, child, folder, settings)
    term_seconds_max = settings.kcl.grace_ms / _MS_PER_SECOND + TERM_SECONDS_BEYOND_GRACE
    daemons = [
        Daemon(
            stage.name,
            command,
            clock,
            Backoff(RESTART_SECONDS_FIRST, RESTART_SECONDS_LONGEST),
            term_seconds_max,
            settings.worker.shutdown_seconds_max,
        )
        for stage, command in zip(stages, commands, strict=True)
    ]
    restarts = Backoff(RESTART_SECONDS_FIRST, RESTART_SECONDS_LONGEST)
    forking = (sys.executable, "-m", fork_server, str(folder))
    async with kept_running(forking, restarts, settings.worker.shutdown_seconds_max):
        return await Supervisor(daemons, statuses, clock, settings, metrics).run()


async def _prepare(stage: Stage, child: ChildPlan, folder: Path, settings: Settings) -> None:
    """Write the properties of a stage's daemon, and give a new application its leases."""
    region = child.region
    dynamodb = connect_to("dynamodb", region)
    kinesis = connect_to("kinesis", region)
    application = f"{settings.kcl.application}-{stage.name}"
    daemon = properties.DaemonPlan(
        application=application,
        stream=stage.source_stream,
        region=region,
        worker=f"{socket.gethostname()}-{os.getpid()}-{stage.name}",
        child=child.words(folder),
        kinesis_endpoint=kinesis.meta.endpoint_url if is_redirected("kinesis") else None,
        dynamodb_endpoint=dynamodb.meta.endpoint_url if is_redirected("dynamodb") else None,
    )
    (folder / f"{stage.name}.properties").write_text(properties.render(daemon, settings.kcl), "utf-8")
    log = open_log(f"kinesis:{region}", SystemClock(), settings.kinesis)
    try:
        shards = await log.shards(stage.source_stream)
    finally:
        log.close()
    await asyncio.to_thread(leases.seed, dynamodb, application, shards)


def _region(log: str) -> str:
    import boto3  # noqa: PLC0415 - takes half a second to import

    region = region_of(log) or boto3.session.Session().region_name
    if region is None:
        raise DaemonSetupError("no AWS region: name it as kcl:REGION, or in AWS_REGION")
    check_region(region)
    return str(region)


def run_shard(plan: ChildPlan, stage: Stage, line: tuple[BinaryIO, BinaryIO], settings: Settings) -> int:
    """Be the child of ``plan``, ``line`` from and to the daemon; return the process's exit code."""
    configure(settings.observe.log_level)
    metrics = Metrics()
    ports: list[WorkerPorts] = []

    def make(pipe: DaemonPipe) -> Worker:
        if not ports:
            ports.append(open_ports(WorkerPlan(f"kinesis:{plan.region}", plan.data, (stage.name,)), settings))
        return Worker(
            worker_id=f"worker-{socket.gethostname()}-{os.getpid()}",
            stages=[stage],
            wanted=None,
            ports=ports[0],
            settings=settings,
            metrics=metrics,
            make_application_meter=PaymentMeter,
            make_source=partial(KclSource, pipe),
        )

    child = ChildProcess(stage.name, plan.statuses, metrics, settings)
    return child.run(make, *line)


def run_payment_shard(arguments: Sequence[str], line: tuple[BinaryIO, BinaryIO], settings: Settings) -> int:
    """Be the child that ``arguments`` describe, for a stage of the topology."""
    check_packages()
    plan = ChildPlan.parse(arguments)
    return run_shard(plan, STAGES[plan.stage], line, settings)
