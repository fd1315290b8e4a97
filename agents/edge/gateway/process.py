"""The gateway's process: from options and settings to a server on a socket, every part made here.

It refuses to start open: without a file of clients it serves only what comes over loopback, and only if told so
(``--open``); and tokens travel over TLS, or over loopback.

SIGTERM: new payments are refused as busy, those that wait are finished and answered, and the process ends with 0.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.edge.errors import EdgeError
from agents.edge.gateway.api import make_app
from agents.edge.gateway.claims import ClaimStore
from agents.edge.gateway.clients import ANY_AGENT, Client, read_clients
from agents.edge.gateway.http_server import TlsFiles, make_server
from agents.edge.gateway.intake import Intake, Stores
from agents.edge.gateway.rates import Rates
from agents.edge.gateway.service import Gateway
from agents.edge.gateway.sqlite_claims import SqliteClaims
from agents.edge.gateway.statuses import PaymentStatuses
from agents.edge.gateway.verification import SimulatedDirectory, Verifications
from agents.edge.process import Stop, run_process
from agents.edge.vault.key import make_key, read_key
from agents.edge.vault.local import LocalVault
from pipeline.observe.health import Health, ObservationServer
from pipeline.observe.metrics import Metrics
from pipeline.stream_logs.naming import open_log, region_of

if TYPE_CHECKING:
    from pipeline.ports import Clock
    from pipeline.settings import Settings

OPEN_CLIENT: Final = Client("open", "open", frozenset({ANY_AGENT}), requests_per_second=1_000_000.0)
"""Whoever asks an open gateway."""
SWITCH_SECONDS: Final = 0.0005
"""For how long the stores' thread may keep the event loop waiting for the GIL: 5 ms by default, and several times."""
_DYNAMODB: Final = "dynamodb:"

logger = logging.getLogger("payments.edge.gateway")


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """What a gateway is to do, as the command line says it."""

    log: str
    data: Path
    host: str
    port: int
    clients: Path | None
    """None for an open gateway."""
    tls: TlsFiles | None
    vault_key: Path | None
    """None for one in ``data``, made at the first start."""
    claims: str | None
    """``dynamodb:TABLE``; None for SQLite in ``data``."""
    tables: str | None
    """The projector's, as it names them."""


def check_plan(plan: GatewayPlan) -> None:
    """Raise ``EdgeError`` if the gateway of ``plan`` would be open to who should not get in."""
    loopback = _is_loopback(plan.host)
    if plan.clients is None and not loopback:
        raise EdgeError(f"an open gateway serves loopback only, not {plan.host}; give it a file of clients (--clients)")
    if plan.tls is None and not loopback:
        raise EdgeError(
            f"without TLS a gateway serves loopback only, not {plan.host}; give it --tls-cert and --tls-key"
        )


def run_gateway(plan: GatewayPlan, settings: Settings) -> int:
    """Run the gateway of ``plan`` until a signal stops it; return the process's exit code."""
    return run_process(partial(_main, plan, settings))


async def _main(plan: GatewayPlan, settings: Settings, clock: Clock, stop: Stop) -> None:
    check_plan(plan)
    clients = OPEN_CLIENT if plan.clients is None else read_clients(plan.clients)
    log = open_log(plan.log, clock, settings.kinesis)
    metrics = Metrics()
    limits = settings.gateway
    statuses = PaymentStatuses(plan.tables, region_of(plan.log), clock, limits.outcome_poll_ms / 1_000)
    with _stores(plan) as stores, socket.create_server((plan.host, plan.port)) as listening:
        intake = Intake(stores, log, clock, limits, metrics)
        await intake.start()
        verifications = Verifications(stores, clock, SimulatedDirectory())
        gateway = Gateway(clients, Rates(), intake, statuses, verifications, clock, metrics)
        with _observed(settings, metrics, intake):
            await _serve(gateway, plan, settings, listening, stop)
    statuses.close()
    log.close()


async def _serve(gateway: Gateway, plan: GatewayPlan, settings: Settings, listening: socket.socket, stop: Stop) -> None:
    """Serve until told to stop, or until the intake cannot go on."""
    server = make_server(make_app(gateway, settings.gateway), plan.tls)
    taking_in = asyncio.create_task(gateway.intake.run())
    looking = asyncio.create_task(gateway.statuses.run())
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopped = asyncio.create_task(stop.wait())
    gc.freeze()  # what was imported stays: the collector need not go through all of it again and again
    sys.setswitchinterval(SWITCH_SECONDS)
    host, port = listening.getsockname()[:2]
    logger.info("listening on %s://%s:%d", "https" if plan.tls else "http", host, port)
    try:
        await asyncio.wait((taking_in, looking, serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        if looking.done():
            await looking
        gateway.intake.close()
        await taking_in
        server.stop()
        await serving
    finally:
        looking.cancel()
        stopped.cancel()


@contextmanager
def _stores(plan: GatewayPlan) -> Iterator[Stores]:
    """Give the stores; what is in SQLite is opened, used and closed in their one thread."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="stores")
    key = make_key(plan.data / "vault.key") if plan.vault_key is None else read_key(plan.vault_key)
    vault = thread.submit(LocalVault, plan.data, key).result()
    claims = thread.submit(_open_claims, plan).result()
    try:
        yield Stores(vault, claims, thread)
    finally:
        thread.submit(claims.close).result()
        thread.submit(vault.close).result()
        thread.shutdown()


def _open_claims(plan: GatewayPlan) -> ClaimStore:
    if plan.claims is None:
        return SqliteClaims(plan.data)
    from agents.edge.gateway.dynamo_claims import DynamoClaims  # noqa: PLC0415 - boto3 takes half a second to import
    from pipeline.stream_logs.kinesis_client import connect_to  # noqa: PLC0415

    table = plan.claims.removeprefix(_DYNAMODB)
    if table == plan.claims or not table:
        raise EdgeError(f"{plan.claims!r} names no claims; they are in --data, or in {_DYNAMODB}TABLE")
    claims = DynamoClaims(connect_to("dynamodb", region_of(plan.log), DynamoClaims.config()), table)
    claims.create()
    return claims


@contextmanager
def _observed(settings: Settings, metrics: Metrics, intake: Intake) -> Iterator[None]:
    """Show metrics and health, if there is a port for that."""
    if not settings.observe.port:
        yield
        return
    server = ObservationServer(settings.observe.host, settings.observe.port, metrics.registry, partial(_health, intake))
    try:
        yield
    finally:
        server.close()


def _health(intake: Intake) -> Health:
    return Health(not intake.is_slow, {"waiting": intake.waiting, "slow": intake.is_slow})


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
