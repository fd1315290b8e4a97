"""``docs/schemes.md``: what each scheme demands, as its profile says it, and where that is from."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from docs.docstrings import constants_of, fields_of, text_of
from schemas.money import Money
from schemas.schemes import fps, sct_inst
from schemas.schemes.catalogue import SCHEMES
from schemas.schemes.profile import MessageRules, ReasonCodes, SchemeProfile

_MODULES: Final = (fps, sct_inst)
_HEADING: Final = """\
# Schemes

What a payment must keep to, by scheme. Written by `python -m docs.generate` from the profiles in `schemas/schemes`;
change it there. A profile is part of a behaviour version: a changed one takes effect when the log says so.
"""


def page() -> str:
    """Return the page."""
    sections = [_HEADING, _table("Limits and clocks", SchemeProfile), _table("Reason codes", ReasonCodes)]
    for module in _MODULES:
        profiles = [value for value in vars(module).values() if isinstance(value, SchemeProfile)]
        texts = constants_of(module)
        variants = [
            f"`{profile.name}`: {texts[constant]}\n"
            for constant, profile in vars(module).items()
            if isinstance(profile, SchemeProfile) and constant in texts
        ]
        sections += [f"## {profiles[0].name}\n\n{text_of(module)}\n", *variants, _messages(profiles[0].messages)]
    return "\n".join(sections)


def _messages(rules: MessageRules) -> str:
    """Return what a scheme demands of its messages, place by place."""
    rows = [f"| `{place}` | must be there |" for place in rules.required]
    rows += [f"| `{place}` | {' '.join(sorted(texts)) or 'is not used'} |" for place, texts in rules.allowed.items()]
    rows += [f"| `{place}` | `{form.replace('|', chr(92) + '|')}` |" for place, form in rules.forms.items()]
    table = "\n".join(["| place | |", "|---|---|", *rows])
    text = f"Messages: {', '.join(sorted(rules.names))}; {rules.transactions_max} transaction each.\n\n{table}\n"
    if rules.own_reasons:
        pairs = ", ".join(f"{code} {own}" for code, own in rules.own_reasons.items())
        text += f"\nReason codes of ISO 20022 and its own: {pairs}.\n"
    return text


def _table(title: str, described: type) -> str:
    """Return a row for each field, and a column for each scheme."""
    meanings = fields_of(described)
    names = [field.name for field in fields(described) if field.name not in ("name", "reasons", "messages")]
    rows = "\n".join(
        f"| {name} | {' | '.join(_cell(scheme, name) for scheme in SCHEMES.values())} | {meanings[name]} |"
        for name in names
    )
    return f"## {title}\n\n| | {' | '.join(SCHEMES)} | meaning |\n|---|{'---|' * len(SCHEMES)}---|\n{rows}\n"


def _cell(scheme: SchemeProfile, name: str) -> str:
    value = getattr(scheme.reasons if hasattr(scheme.reasons, name) else scheme, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if name == "amount_minor_max":
        return str(Money(value, scheme.currency))
    if "_us" in name:
        return f"{value / 1_000_000:g} s"
    return str(value)
