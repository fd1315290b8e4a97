"""What a scheme demands of a payment, as data.  Each scheme's module names its sources; ``docs/schemes.md`` has all.

A profile is part of the activated behaviour: two builds that differ in one are two behaviour versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

from schemas.iso20022.walk import Content


@dataclass(frozen=True, slots=True)
class SchemeProfile:
    """One scheme."""

    name: str
    """What orders and the directory call it."""
    currency: str
    """The only one it carries."""
    amount_minor_max: int | None
    """Per payment, in minor units; None where the scheme has no limit."""
    answer_us_max: int
    """From acceptance (AccptncDtTm) to the answer of the receiving participant, at the clearing."""
    on_timeout: Literal["expire", "hold"]
    """``expire``: we are the clearing, our clock decides.  ``hold``: a foreign rail decides, we ask (pacs.028)."""
    may_hold: bool
    """Whether a payment may wait for a review before it is submitted."""
    reference_length_max: int
    """Characters of the remittance information."""
    target_us: int
    """From acceptance to the execution that the scheme aims at."""
    confirm_us_max: int
    """From acceptance to the confirmation at the sending participant."""
    outer_us_max: int
    """From acceptance to when a sending participant without a confirmation makes its payer whole, and asks."""
    recalls_max: int
    """Recalls (camt.056) of one payment."""
    verification_blocks: bool
    """Whether a verification of payee that found no match may stop a payment: the payer is told, and decides."""
    wire: str
    """What the scheme's messages are on the wire."""
    reasons: ReasonCodes
    """What we say when we refuse a payment ourselves."""
    messages: MessageRules
    """What the scheme demands of a message beyond its schema."""


@dataclass(frozen=True, slots=True)
class ReasonCodes:
    """The scheme's codes for what we refuse ourselves."""

    duplicate: str
    """Another order has the same identity."""
    over_scheme_limit: str
    """More than the scheme carries at once."""
    over_cap: str
    """The sender's net position would pass its cap."""
    unreachable: str
    """The creditor's agent cannot be reached by this scheme, or is not known."""
    creditor_agent_offline: str
    """The creditor's agent has gone off line."""
    timeout: str
    """No answer came before the deadline."""
    too_late_on_arrival: str
    """The scheme's time had passed when the order came to the clearing."""
    suspected_fraud: str
    """The fraud score refuses it."""
    invalid: str
    """The order breaks a rule of the scheme, or names an agent that is no participant."""
    too_many_open: str
    """The sender has as many payments open as we take: an error at the instructed agent, which is us."""


class FamilyRules(NamedTuple):
    """The rules of one family of messages; places begin below the message's own element."""

    required: tuple[str, ...]
    allowed: tuple[tuple[str, frozenset[str]], ...]
    forms: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def of(cls, rules: MessageRules, family: str) -> Self:
        """Return what ``rules`` say of the messages of ``family``."""
        prefix = f"{family}/"

        def own(place: str) -> str:
            return place.removeprefix(prefix) if place.startswith(prefix) else ""

        return cls(
            tuple(own(place) for place in rules.required if own(place)),
            tuple((own(place), texts) for place, texts in rules.allowed.items() if own(place)),
            tuple((own(place), re.compile(form)) for place, form in rules.forms.items() if own(place)),
        )


@dataclass(frozen=True, slots=True)
class MessageRules:
    """What a scheme demands of ISO 20022 messages beyond their schema.

    A place is a message's family and the names of elements below the message's own element:
    ``pacs.008/CdtTrfTxInf/PmtId/TxId``.
    """

    names: frozenset[str]
    """The messages it knows."""
    transactions_max: int
    """Of one message."""
    required: tuple[str, ...] = ()
    """Places that must be there, wherever what is around them is there."""
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Place -> the texts that it may have; without any, it may not be there."""
    forms: Mapping[str, str] = field(default_factory=dict)
    """Place -> the expression that describes its text."""
    payment_type: Content = field(default_factory=dict)
    """What a pacs.008 of the scheme says as its ``PmtTpInf``, if its sender has nothing else to say there."""
    own_reasons: Mapping[str, str] = field(default_factory=dict)
    """ISO 20022's reason code -> the scheme's own, where it has its own; each stands for one only."""

    by_family: Mapping[str, FamilyRules] = field(init=False)
    """What a message's family has of these rules."""

    def __post_init__(self) -> None:
        families = {name.rpartition(".")[0].rpartition(".")[0] for name in self.names}
        object.__setattr__(self, "by_family", {family: FamilyRules.of(self, family) for family in families})
        if len(set(self.own_reasons.values())) < len(self.own_reasons):
            raise ValueError("two reason codes of ISO 20022 share one of the scheme's own")
