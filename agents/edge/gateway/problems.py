"""What is said to a client whose request is refused: RFC 9457's problem details.

A refusal is never ambiguous: a request that is refused causes nothing.  Only of one that failed (500) it is not known;
sent again, it is the same.  No problem repeats an account number, or any value of more than six characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Final

from schemas.errors import FAULTS_SHOWN_MAX, Fault

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:payments-on-streams:problem:"


class Kind(Enum):
    """What can be wrong with a request: the name in its type, the status, the title."""

    BAD_REQUEST = ("bad-request", HTTPStatus.BAD_REQUEST, "A header is missing or malformed")
    UNAUTHENTICATED = ("unauthenticated", HTTPStatus.UNAUTHORIZED, "The client is not known")
    FORBIDDEN = ("forbidden", HTTPStatus.FORBIDDEN, "The client may not do this")
    NOT_FOUND = ("not-found", HTTPStatus.NOT_FOUND, "There is nothing here")
    METHOD_NOT_ALLOWED = ("method-not-allowed", HTTPStatus.METHOD_NOT_ALLOWED, "This cannot be done here")
    CONFLICT = ("conflict", HTTPStatus.CONFLICT, "This contradicts what was said before")
    TOO_LARGE = ("too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large")
    UNSUPPORTED_TYPE = ("unsupported-type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is of a type not read here")
    INVALID = ("invalid", HTTPStatus.UNPROCESSABLE_ENTITY, "The payment breaks a rule")
    TOO_MANY_REQUESTS = ("too-many-requests", HTTPStatus.TOO_MANY_REQUESTS, "The client's rate is above its limit")
    FAILED = ("failed", HTTPStatus.INTERNAL_SERVER_ERROR, "The gateway failed")
    BUSY = ("busy", HTTPStatus.SERVICE_UNAVAILABLE, "The gateway takes no more at the moment")

    def __init__(self, slug: str, status: HTTPStatus, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title


class Problem(Exception):
    """A request that is refused."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        reason: str = "",
        faults: Sequence[Fault] = (),
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say ``detail``; ``reason`` is the scheme's code for it, ``faults`` are what is wrong, each with its place."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.reason = reason
        self.faults = faults
        self.headers = dict(headers or {})
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(retry_after_seconds)

    def body(self) -> bytes:
        """Return the problem as JSON."""
        said: dict[str, object] = {
            "type": f"{TYPE_PREFIX}{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status.value,
            "detail": self.detail,
        }
        if self.reason:
            said["reason"] = self.reason
        if self.faults:
            said["faults"] = [
                {"path": fault.path, "rule": fault.rule, "message": fault.message}
                for fault in self.faults[:FAULTS_SHOWN_MAX]
            ]
        return json.dumps(said, ensure_ascii=False).encode()
