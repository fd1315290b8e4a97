"""Which message is at each index: a pure function of a seed and the index, like the workload's submissions.

    of 10,000 messages
    5,000  credit transfers (pacs.008), euros by SCT Inst and pounds by FPS in its canonical form
    2,000  statuses (pacs.002)
    1,000  status requests (pacs.028)
    1,000  returns (pacs.004)
    500    recalls (camt.056)
    500    answers to recalls (camt.029)

A share of them is made invalid, each in one way that its label names: see ``spoiling``.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import msgspec

from agents.edge.messages import contents, spoiling
from agents.edge.workload.draws import TEN_THOUSAND, Draws
from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_004, PACS_008, PACS_028, MessageName
from schemas.iso20022.writing import write_message

VALID: Final = "valid"
INVALID_PERCENT: Final = 20
_SHARES: Final = {PACS_008: 5_000, PACS_002: 2_000, PACS_028: 1_000, PACS_004: 1_000, CAMT_056: 500, CAMT_029: 500}
_SUMS: Final = list(accumulate(_SHARES.values()))
_NAMES: Final = tuple(_SHARES)
_FPS_PER_TEN_THOUSAND: Final = 3_000


@dataclass(frozen=True, slots=True)
class GeneratedMessage:
    """A message, and what is known of it."""

    index: int
    type: str
    """Of the message; of a spoilt one the type that it was."""
    scheme: str
    """By whose rules it is valid."""
    label: str
    """``valid``, or how it was made invalid."""
    rule: str
    """The rule that it breaks; empty if it is valid."""
    document: bytes

    @property
    def file_name(self) -> str:
        return f"{self.index:06d}-{self.type}-{self.label}.xml"


def line_of(message: GeneratedMessage) -> bytes:
    """Return a message as one line, with a comment behind its declaration that says what is known of it."""
    declaration, _, document = message.document.partition(b"?>\n")
    known = f"{message.index} {message.type} {message.scheme} {message.label} {message.rule}".strip()
    return b"%s?><!-- %s -->%s" % (declaration, known.encode(), document.replace(b"\n", b" "))


def label_line(message: GeneratedMessage) -> bytes:
    """Return what is known of a message, as one line of JSON."""
    known = {
        "file": message.file_name,
        "type": message.type,
        "scheme": message.scheme,
        "label": message.label,
        "rule": message.rule,
    }
    return msgspec.json.encode(known) + b"\n"


def message_at(seed: int, index: int, created_us: int, invalid_percent: int = INVALID_PERCENT) -> GeneratedMessage:
    """Return the message at an index, created then."""
    draws = Draws(seed, "message", index)
    name = _NAMES[bisect_right(_SUMS, draws.below(TEN_THOUSAND))]
    scheme = _scheme_of(name, draws)
    content = contents.draw_content(name, scheme, draws, created_us)
    document = write_message(name, content)
    if not draws.happens(invalid_percent * TEN_THOUSAND // 100):
        return GeneratedMessage(index, str(name), scheme, VALID, "", document)
    spoil = draws.pick(spoiling.spoils_for(name, scheme))
    return GeneratedMessage(index, str(name), scheme, spoil.label, spoil.rule, spoil.apply(document))


def _scheme_of(name: MessageName, draws: Draws) -> str:
    by_fps = draws.happens(_FPS_PER_TEN_THOUSAND)
    return "fps" if by_fps and name not in (CAMT_056, CAMT_029) else "sct-inst"
