"""Any event of a type, built from values that its rules allow; and what an event looks like when it is spoilt.

any_event_of(PaymentSubmitted)         a hypothesis strategy
every_field_of(example)                the paths of its fields: ("transfer", "amount", "minor")
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from schemas import edge
from schemas.events import BEHAVIOUR_VERSION_MAX, CAP_MINOR_MAX, CYCLE_MAX, TIME_US_MAX
from schemas.identifiers import REFERENCE_LENGTH_MAX
from schemas.money import AMOUNT_MINOR_MAX, MINOR_DIGITS

Path = tuple[str | int, ...]

_IDENTIFIER = st.from_regex(r"[!-~]{1,64}", fullmatch=True)
_BIC = st.from_regex(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", fullmatch=True)
_TEXT = st.text(max_size=REFERENCE_LENGTH_MAX)
_CURRENCY = st.sampled_from(sorted(MINOR_DIGITS))
_TIME = st.integers(1, TIME_US_MAX)
_INTEGER_64 = st.integers(-(1 << 63), (1 << 64) - 1)

_OF_FIELD: dict[str, st.SearchStrategy[Any]] = {
    "uetr": st.uuids(version=4).map(str),
    "reference": _TEXT,
    "explanations": st.lists(_TEXT, max_size=4).map(tuple),
    "minor": st.integers(1, AMOUNT_MINOR_MAX),
    "currency": _CURRENCY,
    "caps": st.dictionaries(_CURRENCY, st.integers(0, CAP_MINOR_MAX)),
    "cycle": st.integers(0, CYCLE_MAX),
    "version": st.integers(0, BEHAVIOUR_VERSION_MAX),
    **dict.fromkeys(("agent", "bic", "settles_through", "instructing_agent", "responder", "recipient"), _BIC),
    **dict.fromkeys(("accepted_us", "answered_us", "at_us", "requested_us"), _TIME),
}
_OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: _IDENTIFIER,
    int: _INTEGER_64,
    bool: st.booleans(),
    bytes: st.binary(max_size=32),
}


def any_event_of(event_type: type) -> st.SearchStrategy[Any]:
    """Return a strategy for the events of a type, with all that their rules allow."""
    hints = get_type_hints(event_type)
    values = {
        field.name: _OF_FIELD[field.name] if field.name in _OF_FIELD else _any_value_of(hints[field.name])
        for field in fields(event_type)
    }
    if "accepted" in values:  # an acceptance has no reason, a rejection has one
        outcome = st.one_of(st.just((True, "")), st.tuples(st.just(False), _IDENTIFIER))
        return st.builds(
            lambda outcome, **others: event_type(accepted=outcome[0], reason=outcome[1], **others),
            outcome,
            **{name: value for name, value in values.items() if name not in ("accepted", "reason")},
        )
    return st.builds(event_type, **values)


def _any_value_of(value_type: Any) -> st.SearchStrategy[Any]:
    if get_origin(value_type) is tuple:
        return st.lists(_any_value_of(get_args(value_type)[0]), max_size=3).map(tuple)
    return _OF_TYPE[value_type] if value_type in _OF_TYPE else any_event_of(value_type)


def as_mapping(event: object) -> dict[str, Any]:
    """Return the event as its JSON says it."""
    mapping: dict[str, Any] = json.loads(edge.write(event))
    return mapping


def as_map(event: object) -> dict[str, Any]:
    """Return the event as its MessagePack says it: with bytes where JSON has digits."""
    mapping: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    copy: dict[str, Any] = json_like(mapping)
    return copy


def json_like(value: Any) -> Any:
    """Return a copy in which lists are lists, so that they can be changed."""
    if isinstance(value, dict):
        return {name: json_like(inner) for name, inner in value.items()}
    return [json_like(inner) for inner in value] if isinstance(value, tuple | list) else value


def every_field_of(mapping: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each field and each entry of a list, the outer ones first."""
    inner = mapping.items() if isinstance(mapping, dict) else enumerate(mapping) if isinstance(mapping, list) else ()
    for step, value in inner:
        yield (*path, step)
        yield from every_field_of(value, (*path, step))


def at(mapping: Any, path: Path) -> Any:
    """Return the value at a path."""
    for step in path:
        mapping = mapping[step]
    return mapping


def with_value(mapping: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    """Return a copy in which the value at a path is another."""
    changed: dict[str, Any] = json_like(mapping)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def without(mapping: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy that has nothing at a path."""
    changed: dict[str, Any] = json_like(mapping)
    del at(changed, path[:-1])[path[-1]]
    return changed
