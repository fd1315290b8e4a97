"""The headers that the gateway reads: what each may be, and what is said of one that may not.

They are read here and not by FastAPI, whose way to do so costs a payment more than its order does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agents.edge.gateway.problems import Kind, Problem

if TYPE_CHECKING:
    from fastapi import Request

_UTF_8: Final = frozenset({"", "utf-8", "utf8"})
_find_wait = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])").search


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header."""

    name: str
    pattern: str
    description: str
    required: bool = False

    def of(self, request: Request) -> str:
        """Return its value in a request, empty if it is not there and need not be; never repeat a wrong one."""
        value = request.headers.get(self.name, "")
        if not value and self.required:
            raise Problem(Kind.BAD_REQUEST, f"{self.name} is missing")
        if re.fullmatch(self.pattern, value) is None:
            raise Problem(Kind.BAD_REQUEST, f"{self.name} does not match {self.pattern}")
        return value

    def described(self) -> dict[str, Any]:
        """Return what OpenAPI says of it."""
        schema = {"type": "string", "pattern": f"^{self.pattern}$"}
        return {
            "name": self.name,
            "in": "header",
            "required": self.required,
            "schema": schema,
            "description": self.description,
        }


KEY: Final = HeaderField(
    "Idempotency-Key",
    "[!-~]{1,64}",
    "The client's name for this payment, one among its tenant's; a retry has the same.",
    required=True,
)
VERIFICATION: Final = HeaderField(
    "Payee-Verification", "(vop_[0-9a-f]{24})?", "The verification of payee that the payer saw; of an order in XML."
)
PREFER: Final = HeaderField("Prefer", ".{0,200}", "wait=N: let the answer wait N seconds for the outcome.")


def wait_seconds(request: Request) -> float:
    """Return how long the client prefers the answer to wait (RFC 7240)."""
    found = _find_wait(PREFER.of(request))
    return float(found[1]) if found else 0.0


def media_type(request: Request, *read: str) -> str:
    """Return the media type of the body, if it is one that is read."""
    named, _, parameters = request.headers.get("content-type", "").partition(";")
    named = named.strip().lower()
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if named not in read or charset not in _UTF_8 or "content-encoding" in request.headers:
        raise Problem(Kind.UNSUPPORTED_TYPE, f"a body is {' or '.join(read)}, in UTF-8 and not compressed")
    return named
