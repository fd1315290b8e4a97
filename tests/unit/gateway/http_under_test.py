"""A gateway that serves HTTP in a test, and a client that holds every answer against the API's own description."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from jsonschema import Draft202012Validator

from agents.edge.gateway.api import make_app
from agents.edge.gateway.clients import Client, Clients
from agents.edge.gateway.http_server import TlsFiles, make_server
from agents.edge.gateway.process import OPEN_CLIENT
from agents.edge.gateway.rates import Rates
from agents.edge.gateway.service import Gateway
from agents.edge.gateway.statuses import PaymentStatuses
from agents.edge.gateway.verification import PayeeDirectory, SimulatedDirectory, Verifications
from pipeline.system_clock import SystemClock
from tests.unit.gateway.orders_under_test import GatewayUnderTest, a_body

TEMPLATES = ("/payments/{payment_id}/recall", "/payments/{payment_id}", "/payments", "/payee-verifications")
PROBLEM = "application/problem+json"


class Told(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Whatever the capitals of a name."""
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


class HttpClient:
    """Asks one gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str, described: dict[str, Any]) -> None:
        self._session = session
        self.url = url
        self.described = described

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Told:
        """Return the answer, which is one that the description has."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, f"{self.url}{path}", data=body, headers=named) as response:
            told = Told(response.status, response.headers, await response.read())
        self._assert_described(method, path, told)
        return told

    async def pay(self, key: str = "key-1", body: bytes | None = None, **headers: str) -> Told:
        """Submit an order in JSON."""
        named = {"Idempotency_Key": key, "Content_Type": "application/json"} | headers
        return await self.ask("POST", "/payments", a_body() if body is None else body, **named)

    async def post(self, path: str, document: dict[str, Any], **headers: str) -> Told:
        return await self.ask(
            "POST", path, json.dumps(document).encode(), **{"Content_Type": "application/json"} | headers
        )

    def _assert_described(self, method: str, path: str, told: Told) -> None:
        template = _template(path)
        operation = self.described["paths"].get(template, {}).get(method.lower())
        if operation is None:
            assert told.headers["Content-Type"] == PROBLEM
            return
        answer = operation["responses"][str(told.status)]
        schema = answer["content"][told.headers["Content-Type"]]["schema"]
        schemas = {"components": self.described["components"]}
        Draft202012Validator({**schema, **schemas}).validate(told.document)
        assert all(name in told.headers for name in answer.get("headers", ()))


def _template(path: str) -> str:
    parts = path.strip("/").split("/")
    for template in TEMPLATES:
        wanted = template.strip("/").split("/")
        if len(wanted) == len(parts) and all(w == p or w.startswith("{") for w, p in zip(wanted, parts, strict=True)):
            return template
    return path


@asynccontextmanager
async def serving(
    under_test: GatewayUnderTest,
    clients: Clients | Client = OPEN_CLIENT,
    tables: Path | None = None,
    directory: PayeeDirectory | None = None,
    tls: TlsFiles | None = None,
    client_tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpClient]:
    """Serve, and give a client; in the end stop as on SIGTERM."""
    clock = SystemClock()
    intake = await under_test.intake()
    statuses = PaymentStatuses(None if tables is None else f"sqlite:{tables}", None, clock, poll_seconds=0.01)
    verifications = Verifications(under_test.stores, clock, directory or SimulatedDirectory())
    gateway = Gateway(clients, Rates(), intake, statuses, verifications, clock, under_test.metrics)
    app = make_app(gateway, under_test.settings)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = make_server(app, tls)
        working = [asyncio.ensure_future(each) for each in (intake.run(), statuses.run())]
        serving_ = asyncio.ensure_future(server.serve(sockets=[listening]))
        url = f"{'https' if tls else 'http'}://localhost:{listening.getsockname()[1]}"
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_tls or True)) as session:
                yield HttpClient(session, url, json.loads(json.dumps(app.openapi())))
        finally:
            intake.close()
            await working[0]
            working[1].cancel()
            server.stop()
            await serving_
            statuses.close()
