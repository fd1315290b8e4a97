"""How the API describes itself: the documents' schemas, where they stand, and how a client proves who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from agents.edge.gateway import documents, problems
from agents.edge.gateway.problems import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from agents.edge.gateway.headers import HeaderField

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


def content_of(document: type, media_type: str = "application/json") -> dict[str, Any]:
    """Return a body of one media type, of the shape of a document."""
    return {media_type: {"schema": {"$ref": f"{_SCHEMAS}{document.__name__}"}}}


def body(*contents: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a route says of the body that it takes, in one of several media types."""
    return {
        "requestBody": {"required": True, "content": {name: told for each in contents for name, told in each.items()}}
    }


def headers(*told: HeaderField) -> dict[str, Any]:
    """Return what a route says of the headers that it reads."""
    return {"parameters": [each.described() for each in told]}


def answers(documents_of: Mapping[int, type], *kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a route: documents by status, and the problems that it may be."""
    told: dict[int | str, dict[str, Any]] = {
        status: {"description": (document.__doc__ or "").strip(), "content": content_of(document)}
        for status, document in documents_of.items()
    }
    for kind in (*kinds, *_EVERYWHERE):
        answer: dict[str, Any] = {
            "description": kind.title,
            "content": content_of(documents.ProblemDocument, problems.MEDIA_TYPE),
        }
        if kind in {Kind.TOO_MANY_REQUESTS, Kind.BUSY}:
            answer["headers"] = _RETRY_AFTER
        told[kind.status.value] = answer
    return told


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``."""
    described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    inputs: Any = [(document, "validation", TypeAdapter(document)) for document in _DOCUMENTS]
    _, schemas = TypeAdapter.json_schemas(inputs, ref_template=f"{_SCHEMAS}{{model}}")
    components = described.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas["$defs"])
    components["securitySchemes"] = _SECURITY_SCHEMES
    described["security"] = [{name: []} for name in _SECURITY_SCHEMES]
    return described
