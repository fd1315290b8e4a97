"""The verdict on a document: what it holds, and everything that is wrong with that."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.errors import Fault
from schemas.iso20022.errors import UnreadableDocumentError
from schemas.iso20022.messages import read_messages
from schemas.iso20022.scheme_rules import check_scheme
from schemas.iso20022.second_opinion import IsoSchemas
from schemas.schemes.profile import SchemeProfile


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a document."""

    type: str | None
    """The name of its message; of several different ones all, with commas between; None where there is none."""
    violations: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        return not self.violations


def validate(document: bytes, scheme: SchemeProfile | None = None, schemas: IsoSchemas | None = None) -> Verdict:
    """Return the verdict on a document by schema and code sets, and by the rules of ``scheme``; whatever it is.

    With ISO's own ``schemas`` their verdict is compared; ``NoSchemaError`` if they have not the message's.
    """
    try:
        messages = read_messages(document)
    except UnreadableDocumentError as failure:
        return Verdict(None, (Fault("", "document", str(failure)),))
    violations: list[Fault] = []
    for message in messages:
        violations += message.faults
        if schemas is not None:
            violations += schemas.differences(message)
        if scheme is not None and not message.faults:
            violations += check_scheme(message, scheme)
    names = dict.fromkeys(str(message.name) for message in messages if message.name is not None)
    return Verdict(", ".join(names) or None, tuple(violations))
