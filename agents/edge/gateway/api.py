"""The gateway over HTTP.

    POST /payments                 an order, as pacs.008 or JSON, under an Idempotency-Key
    GET  /payments/{id}            how it stands
    POST /payments/{id}/recall     want it back
    POST /payee-verifications      is the account the payee's?

A body is read up to its limit and no further, and only then looked at.  What is refused is a problem (``problems``).
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.edge.gateway import headers, openapi, problems
from agents.edge.gateway.clients import Client
from agents.edge.gateway.documents import (
    AcceptedDocument,
    OrderDocument,
    PaymentDocument,
    RecallAcceptedDocument,
    RecallDocument,
    VerificationDocument,
    VerificationResultDocument,
)
from agents.edge.gateway.openapi import Operation
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.gateway.service import JSON, XML, Gateway, Wanted
from pipeline.observe import metric_defs as defs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pipeline.observe.metrics import Metrics
    from pipeline.settings import GatewaySettings

BODY_SECONDS_MAX: Final = 10.0
_DESCRIPTION: Final = "Payments come in here; 202 says that one is in the log, and will be carried out exactly once."
_Told = AcceptedDocument | PaymentDocument | RecallAcceptedDocument | VerificationResultDocument
_ADAPTERS: Final[dict[type, TypeAdapter[Any]]] = {
    document: TypeAdapter(document)
    for document in (AcceptedDocument, PaymentDocument, RecallAcceptedDocument, VerificationResultDocument)
}
_WRONG_STATUS: Final = {404: Kind.NOT_FOUND, 405: Kind.METHOD_NOT_ALLOWED}


async def submit(request: Request) -> Response:
    """Answer 202 once the payment is in the log, where nothing can undo that; a retry is answered the same."""
    client, settings = _admitted(request), _settings(request)
    key = headers.KEY.of(request)
    verification_id = headers.VERIFICATION.of(request)
    wait_seconds = min(headers.wait_seconds(request), settings.outcome_seconds_max)
    media_type = headers.media_type(request, JSON, XML)
    body = await _body(request, settings.body_bytes_max)
    answer = await _gateway(request).submit(client, Wanted(key, media_type, verification_id, wait_seconds), body)
    told = {"Location": answer.links.self}
    if wait_seconds:
        told["Preference-Applied"] = f"wait={wait_seconds:g}"
    return _told(answer, 202 if isinstance(answer, AcceptedDocument) else 200, told)


async def payment(request: Request) -> Response:
    """Answer for any payment that was accepted from a client of the same tenant."""
    payment_id = headers.PAYMENT_ID.of(request)
    return _told(await _gateway(request).payment(_admitted(request), payment_id), 200)


async def recall(request: Request) -> Response:
    """Answer 202 once the recall is in the log.  A payment has one; asked again for the same reason it is the same."""
    payment_id = headers.PAYMENT_ID.of(request)
    client = _admitted(request)
    headers.media_type(request, JSON)
    body = await _body(request, _settings(request).body_bytes_max)
    return _told(await _gateway(request).recall(client, payment_id, body), 202)


async def verify(request: Request) -> Response:
    """Answer within some seconds; the result is kept, and an order may name it.  It never stops a payment."""
    client = _admitted(request)
    headers.media_type(request, JSON)
    body = await _body(request, _settings(request).body_bytes_max)
    return _told(await _gateway(request).verify(client, body), 201)


OPERATIONS: Final = (
    Operation(
        "POST",
        "/payments",
        submit,
        "Submit a payment",
        {202: AcceptedDocument, 200: PaymentDocument},
        (
            *(Kind.BAD_REQUEST, Kind.FORBIDDEN, Kind.CONFLICT, Kind.TOO_LARGE, Kind.UNSUPPORTED_TYPE),
            *(Kind.INVALID, Kind.BUSY),
        ),
        parameters=(headers.KEY, headers.VERIFICATION, headers.PREFER),
        body=openapi.content_of(OrderDocument)
        | {XML: {"schema": {"type": "string", "description": "A pacs.008.001.08 of one transaction."}}},
    ),
    Operation(
        "GET",
        "/payments/{payment_id}",
        payment,
        "Say how a payment stands",
        {200: PaymentDocument},
        (Kind.BAD_REQUEST, Kind.NOT_FOUND),
        parameters=(headers.PAYMENT_ID,),
    ),
    Operation(
        "POST",
        "/payments/{payment_id}/recall",
        recall,
        "Ask for a settled payment back",
        {202: RecallAcceptedDocument},
        (
            *(Kind.BAD_REQUEST, Kind.NOT_FOUND, Kind.CONFLICT, Kind.TOO_LARGE, Kind.UNSUPPORTED_TYPE),
            *(Kind.INVALID, Kind.BUSY),
        ),
        parameters=(headers.PAYMENT_ID,),
        body=openapi.content_of(RecallDocument),
    ),
    Operation(
        "POST",
        "/payee-verifications",
        verify,
        "Ask whether an account is the payee's",
        {201: VerificationResultDocument},
        (Kind.BAD_REQUEST, Kind.TOO_LARGE, Kind.UNSUPPORTED_TYPE, Kind.INVALID),
        body=openapi.content_of(VerificationDocument),
    ),
)


async def _describe(_request: Request) -> Response:
    return Response(_described(), media_type=JSON)


@cache
def _described() -> bytes:
    return openapi.describe(OPERATIONS, "Payments gateway", _DESCRIPTION)


def make_app(gateway: Gateway, settings: GatewaySettings) -> Starlette:
    """Return the application; its paths are those in the module's docstring, and ``/openapi.json``."""
    app = Starlette(
        routes=[
            *(Route(each.path, each.endpoint, methods=[each.method]) for each in OPERATIONS),
            Route("/openapi.json", _describe),
        ],
        exception_handlers={Problem: _tell_problem, HTTPException: _tell_http_exception, Exception: _tell_failure},
        middleware=[Middleware(_Counted, metrics=gateway.metrics)],
    )
    app.state.gateway, app.state.settings = gateway, settings
    return app


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def _settings(request: Request) -> GatewaySettings:
    settings: GatewaySettings = request.app.state.settings
    return settings


def _admitted(request: Request) -> Client:
    certificate = getattr(request.state, "certificate", "")
    return _gateway(request).admit(request.headers.get("authorization", ""), certificate)


async def _body(request: Request, bytes_max: int) -> bytes:
    """Return the body, of which no more than ``bytes_max`` is ever held."""
    too_large = Problem(Kind.TOO_LARGE, f"a body has at most {bytes_max} bytes", headers={"Connection": "close"})
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > bytes_max:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise too_large
    except TimeoutError:
        raise Problem(Kind.BAD_REQUEST, f"the body did not come within {BODY_SECONDS_MAX:g} s") from None
    return bytes(body)


def _told(document: _Told, status: int, told: dict[str, str] | None = None) -> Response:
    content = _ADAPTERS[type(document)].dump_json(document, exclude_none=True)
    return Response(content, status, told, JSON)


async def _tell_problem(_request: Request, problem: Exception) -> Response:
    if not isinstance(problem, Problem):
        raise problem
    return Response(problem.body(), problem.kind.status, problem.headers, problems.MEDIA_TYPE)


async def _tell_http_exception(request: Request, failure: Exception) -> Response:
    if not isinstance(failure, HTTPException):
        raise failure
    kind = _WRONG_STATUS.get(failure.status_code, Kind.BAD_REQUEST)
    return await _tell_problem(request, Problem(kind, kind.title, headers=failure.headers))


async def _tell_failure(request: Request, _failure: Exception) -> Response:
    """Tell nothing of a failure; the server logs it."""
    return await _tell_problem(request, Problem(Kind.FAILED, "send the request again; it is then the same one"))


class _Counted:
    """Counts requests by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.counter(defs.REQUESTS, route, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, sending)
