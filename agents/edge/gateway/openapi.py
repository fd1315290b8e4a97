"""How the API describes itself: the documents' schemas, where they stand, and how a client proves who it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from agents.edge.gateway import documents, problems
from agents.edge.gateway.headers import Parameter
from agents.edge.gateway.problems import Kind

_SCHEMAS: Final = "#/components/schemas/"
_DOCUMENTS: Final = (
    documents.OrderDocument,
    documents.AcceptedDocument,
    documents.PaymentDocument,
    documents.VerificationDocument,
    documents.VerificationResultDocument,
    documents.RecallDocument,
    documents.RecallAcceptedDocument,
    documents.ProblemDocument,
)
_SECURITY_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Signed by the client."},
    "certificate": {"type": "mutualTLS", "description": "A TLS certificate that is the client's."},
}
_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds to wait at least.", "schema": {"type": "integer", "minimum": 1}}
}
_EVERYWHERE: Final = (Kind.UNAUTHENTICATED, Kind.TOO_MANY_REQUESTS, Kind.FAILED)


class Operation(NamedTuple):
    """One thing that a client may ask for."""

    method: str
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    """Its name and its docstring are told, too."""
    summary: str
    answers: Mapping[int, type]
    """Documents, by status."""
    problems: Sequence[Kind]
    """What may be answered instead, beside what may be everywhere."""
    parameters: Sequence[Parameter] = ()
    body: Mapping[str, Any] | None = None
    """What is taken, by media type."""


def content_of(document: type, media_type: str = "application/json") -> dict[str, Any]:
    """Return a body of one media type, of the shape of a document."""
    return {media_type: {"schema": {"$ref": f"{_SCHEMAS}{document.__name__}"}}}


def describe(operations: Sequence[Operation], title: str, description: str) -> bytes:
    """Return the OpenAPI document of ``operations``, as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    inputs: Any = [(document, "validation", TypeAdapter(document)) for document in _DOCUMENTS]
    _, schemas = TypeAdapter.json_schemas(inputs, ref_template=f"{_SCHEMAS}{{model}}")
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": title, "description": description, "version": "1"},
            "paths": paths,
            "components": {"schemas": schemas["$defs"], "securitySchemes": _SECURITY_SCHEMES},
            "security": [{name: []} for name in _SECURITY_SCHEMES],
        }
    )


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.endpoint.__name__,
        "summary": operation.summary,
        "description": cleandoc(operation.endpoint.__doc__ or ""),
        "responses": _answers(operation),
    }
    if operation.parameters:
        told["parameters"] = [each.described() for each in operation.parameters]
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": operation.body}
    return told


def _answers(operation: Operation) -> dict[str, dict[str, Any]]:
    """Return documents by status, and the problems that the answer may be."""
    told: dict[str, dict[str, Any]] = {
        str(status): {"description": cleandoc(document.__doc__ or ""), "content": content_of(document)}
        for status, document in operation.answers.items()
    }
    for kind in (*operation.problems, *_EVERYWHERE):
        answer: dict[str, Any] = {
            "description": kind.title,
            "content": content_of(documents.ProblemDocument, problems.MEDIA_TYPE),
        }
        if kind in {Kind.TOO_MANY_REQUESTS, Kind.BUSY}:
            answer["headers"] = _RETRY_AFTER
        told[str(kind.status.value)] = answer
    return told
