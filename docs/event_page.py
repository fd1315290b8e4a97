"""``docs/events.md``: every event, by stream, as ``schemas`` defines it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Final

from agents import streams
from docs.docstrings import constants_of, fields_of, line_of
from schemas import codec, events, identifiers, money

_HEADING: Final = """\
# Events

What the records of the streams say. Written by `python -m docs.generate` from `schemas`; change it there.

A record's envelope ([formats](formats.md)) carries the kind and the version of its body. The body is MessagePack: a map
by field name, with every field, in the order below, each number and length in its shortest form. Any other bytes are
refused, and parked with the reason; `tests/golden/events.json` has an example of each kind. At an edge an event is JSON
with the same fields, beside its name: `{"type": "CutOffScheduled", "cycle": 17, "at_us": 1764000060123456}`; bytes are
hexadecimal digits there.

A kind is never given to another event, nor a version to another shape. Kinds below 256 are the engine's.
"""


def page() -> str:
    """Return the page."""
    keys = {getattr(streams, name): text for name, text in constants_of(streams).items()}
    sections = [_HEADING]
    for stream, kinds in codec.KINDS_OF_STREAM.items():
        rows = "\n".join(
            f"| {kind} | {codec.VERSION} | {event_type.__name__} | {_fields(event_type)} | {line_of(event_type)} |"
            for kind, event_type in kinds.items()
        )
        sections.append(
            f"## {stream}\n\n{keys[stream]}\n\n"
            f"| kind | version | event | fields | meaning |\n|---|---|---|---|---|\n{rows}\n"
        )
    return "\n".join([*sections, _parts(), _limits()])


def _parts() -> str:
    """Return what events are made of."""
    known = [value for value in vars(events).values() if isinstance(value, type) and is_dataclass(value)]
    rows = "\n".join(
        f"| {part.__name__} | {_fields(part)} | {line_of(part)} |" for part in known if part not in codec.KINDS.values()
    )
    return f"## Parts of events\n\n| part | fields | meaning |\n|---|---|---|\n{rows}\n"


def _limits() -> str:
    """Return what a value must be to be taken at all."""
    rows = "\n".join(
        f"| {name} | `{_value(getattr(module, name))}` | {text} |"
        for module in (identifiers, money, events)
        for name, text in constants_of(module).items()
    )
    return f"## What values must be\n\n| rule | value | meaning |\n|---|---|---|\n{rows}\n"


def _fields(event_type: type) -> str:
    """Return the fields of an event as the lines of a cell."""
    described = fields_of(event_type)
    return "<br>".join(
        f"`{field.name}` {field.type}" + (f" - {described[field.name]}" if described[field.name] else "")
        for field in fields(event_type)
    )


def _value(value: object) -> str:
    """Return a limit, or the pattern of what asks for one."""
    pattern = getattr(getattr(value, "__self__", None), "pattern", None)
    return str(value if pattern is None else pattern).replace("|", "\\|")
