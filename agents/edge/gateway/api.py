"""The gateway over HTTP.

    POST /payments                 an order, as pacs.008 or JSON, under an Idempotency-Key
    GET  /payments/{id}            how it stands
    POST /payments/{id}/recall     want it back
    POST /payee-verifications      is the account the payee's?

A body is read up to its limit and no further, and only then looked at.  What is refused is a problem (``problems``).
"""

from __future__ import annotations

import asyncio
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException

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
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.gateway.service import JSON, XML, Gateway, Wanted
from pipeline.observe import metric_defs as defs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pipeline.observe.metrics import Metrics
    from pipeline.settings import GatewaySettings

BODY_SECONDS_MAX: Final = 10.0
_DESCRIPTION: Final = "Payments come in here; 202 says that one is in the log, and will be carried out exactly once."
_PaymentId = Annotated[str, Path(pattern=r"^[!-~]{1,64}$", examples=["pay_6b9d371016bd19a6f4d62a9f3932293462b674ba"])]
_Told = AcceptedDocument | PaymentDocument | RecallAcceptedDocument | VerificationResultDocument
_ADAPTERS: Final[dict[type, TypeAdapter[Any]]] = {
    document: TypeAdapter(document)
    for document in (AcceptedDocument, PaymentDocument, RecallAcceptedDocument, VerificationResultDocument)
}
_WRONG_STATUS: Final = {404: Kind.NOT_FOUND, 405: Kind.METHOD_NOT_ALLOWED}


router = APIRouter(default_response_class=Response)


@router.post(
    "/payments",
    status_code=202,
    summary="Submit a payment",
    responses=openapi.answers(
        {202: AcceptedDocument, 200: PaymentDocument},
        *(Kind.BAD_REQUEST, Kind.FORBIDDEN, Kind.CONFLICT, Kind.TOO_LARGE, Kind.UNSUPPORTED_TYPE),
        *(Kind.INVALID, Kind.BUSY),
    ),
    openapi_extra={
        **openapi.body(
            openapi.content_of(OrderDocument),
            {XML: {"schema": {"type": "string", "description": "A pacs.008.001.08 of one transaction."}}},
        ),
        **openapi.headers(headers.KEY, headers.VERIFICATION, headers.PREFER),
    },
)
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


@router.get(
    "/payments/{payment_id}",
    summary="Say how a payment stands",
    responses=openapi.answers({200: PaymentDocument}, Kind.BAD_REQUEST, Kind.NOT_FOUND),
)
async def payment(request: Request, payment_id: _PaymentId) -> Response:
    """Answer for any payment that was accepted from a client of the same tenant."""
    return _told(await _gateway(request).payment(_admitted(request), payment_id), 200)


@router.post(
    "/payments/{payment_id}/recall",
    status_code=202,
    summary="Ask for a settled payment back",
    responses=openapi.answers(
        {202: RecallAcceptedDocument},
        *(Kind.BAD_REQUEST, Kind.NOT_FOUND, Kind.CONFLICT, Kind.TOO_LARGE, Kind.UNSUPPORTED_TYPE),
        *(Kind.INVALID, Kind.BUSY),
    ),
    openapi_extra=openapi.body(openapi.content_of(RecallDocument)),
)
async def recall(request: Request, payment_id: _PaymentId) -> Response:
    """Answer 202 once the recall is in the log.  A payment has one; asked again for the same reason it is the same."""
    client = _admitted(request)
    headers.media_type(request, JSON)
    body = await _body(request, _settings(request).body_bytes_max)
    return _told(await _gateway(request).recall(client, payment_id, body), 202)


@router.post(
    "/payee-verifications",
    status_code=201,
    summary="Ask whether an account is the payee's",
    responses=openapi.answers(
        {201: VerificationResultDocument}, Kind.BAD_REQUEST, Kind.TOO_LARGE, Kind.UNSUPPORTED_TYPE, Kind.INVALID
    ),
    openapi_extra=openapi.body(openapi.content_of(VerificationDocument)),
)
async def verify(request: Request) -> Response:
    """Answer within some seconds; the result is kept, and an order may name it.  It never stops a payment."""
    client = _admitted(request)
    headers.media_type(request, JSON)
    body = await _body(request, _settings(request).body_bytes_max)
    return _told(await _gateway(request).verify(client, body), 201)


def make_app(gateway: Gateway, settings: GatewaySettings) -> FastAPI:
    """Return the application; its paths are those in the module's docstring, and ``/openapi.json``."""
    app = FastAPI(title="Payments gateway", version="1", description=_DESCRIPTION, redoc_url=None, docs_url=None)
    app.state.gateway, app.state.settings = gateway, settings
    app.include_router(router)
    app.openapi = cache(partial(openapi.describe, app))  # type: ignore[method-assign]  # FastAPI's way to extend it
    app.add_exception_handler(Problem, _tell_problem)
    app.add_exception_handler(HTTPException, _tell_http_exception)
    app.add_exception_handler(RequestValidationError, _tell_validation)
    app.add_exception_handler(Exception, _tell_failure)
    app.add_middleware(_Counted, metrics=gateway.metrics)
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
    """Return the body, of which no more than ``bytes_max`` is ever held; FastAPI's own limit answers in plain text."""
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


async def _tell_validation(request: Request, failure: Exception) -> Response:
    """Tell which header or part of the path is wrong; never its value."""
    if not isinstance(failure, RequestValidationError):
        raise failure
    fault = failure.errors()[0]
    detail = f"{fault['loc'][-1]}: {fault['msg']}"
    return await _tell_problem(request, Problem(Kind.BAD_REQUEST, detail))


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
