"""Events as JSON, where somebody else's data comes in: validated by pydantic against the one definition of events.

    read(document, CreditTransfer)        the fields of an event whose type the caller knows
    read_named(document)                  the same with a ``type`` beside them: {"type": "CutOffScheduled", ...}
    write(event), write_named(event)      and back

A document is JSON in UTF-8, or a mapping as ``json.loads`` gives it.  Nothing is coerced: ``true``, ``"12"`` and
``12.0`` are no integers.  No field is unknown, none is there twice, and a document has at most ``DOCUMENT_BYTES_MAX``
bytes.  Bytes inside an event are hexadecimal digits.  Whatever is refused is refused with ``InvalidEventError``, which
names each fault by its path and never repeats a value whole.

What is read here can be put on a stream: the codec inside takes it, and gives the same event back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Final, TypeVar

import msgspec
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails

from schemas import events
from schemas.errors import Fault, InvalidEventError
from schemas.wording import shown

DOCUMENT_BYTES_MAX: Final = 1 << 16
"""Many times what the largest event from an edge needs."""

NAMED_EVENTS: Final[dict[str, type]] = {
    event_type.__name__: event_type
    for event_type in (
        events.CreditTransfer,
        events.PaymentSubmitted,
        events.ParticipantAnswered,
        events.ParticipantListed,
        events.ParticipantAvailabilityChanged,
        events.CutOffScheduled,
        events.CycleSettled,
        events.BehaviourOrdered,
    )
}
"""What may come in from an edge, by name."""

Event = TypeVar("Event")
_Document = bytes | Mapping[str, Any]

_STRICT: Final = ConfigDict(strict=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")
_adapters: Final[dict[type, TypeAdapter[Any]]] = {}
_NAME_LENGTH_MAX: Final = 40
_TYPE: Final = "type"
_RULES: Final = {
    "missing": ("missing", "is missing"),
    "unexpected_keyword_argument": ("unknown", "is not known here"),
    "int_type": ("type", "must be an integer"),
    "string_type": ("type", "must be text"),
    "bool_type": ("type", "must be true or false"),
    "bytes_type": ("type", "must be hexadecimal digits"),
    "bytes_invalid_encoding": ("type", "must be hexadecimal digits"),
    "tuple_type": ("type", "must be a list"),
    "dict_type": ("type", "must be an object"),
    "dataclass_type": ("type", "must be an object"),
}
"""pydantic's name of an error -> the kind of fault it is here, and what to say."""


def read(document: _Document, event_type: type[Event]) -> Event:
    """Return the event of ``event_type`` whose fields ``document`` has, or raise ``InvalidEventError``."""
    text = _text_of(document)
    _object_of(text)
    try:
        event: Event = _adapter(event_type).validate_json(text)
        msgspec.msgpack.encode(event)
    except ValidationError as failure:
        faults = (_fault_of(error) for error in failure.errors(include_url=False, include_input=False))
        raise InvalidEventError(*faults) from None
    except OverflowError:
        raise _invalid("an integer has more than 64 bits") from None
    return event


def read_named(document: _Document) -> object:
    """Return the event that ``document`` names as its ``type``, or raise ``InvalidEventError``."""
    named = _object_of(_text_of(document))
    name = named.pop(_TYPE, None)
    event_type = NAMED_EVENTS.get(name) if isinstance(name, str) else None
    if event_type is None:
        raise InvalidEventError(Fault(_TYPE, "type", f"must be one of {', '.join(NAMED_EVENTS)}"))
    return read(named, event_type)


def write(event: object) -> bytes:
    """Return the fields of ``event`` as JSON."""
    return _adapter(type(event)).dump_json(event)


def write_named(event: object) -> bytes:
    """Return the fields of ``event`` as JSON, with its ``type`` in front."""
    return b'{"type":"%s",%s' % (type(event).__name__.encode(), write(event)[1:])


def _adapter(event_type: type) -> TypeAdapter[Any]:
    """Return pydantic's view of a type of events, made when the first of them comes.

    pydantic looks for its settings on each dataclass; ``with_config`` puts them there, so that the definition of the
    events need not know of pydantic.
    """
    adapter = _adapters.get(event_type)
    if adapter is None:
        for known in vars(events).values():
            if isinstance(known, type) and is_dataclass(known):
                with_config(_STRICT)(known)
        adapter = _adapters[event_type] = TypeAdapter(event_type)
    return adapter


def _text_of(document: _Document) -> bytes:
    """Return the JSON text of a document, if it is not too large."""
    if isinstance(document, Mapping):
        try:
            document = json.dumps(dict(document), allow_nan=False, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _invalid("half of a surrogate pair is no text") from None
        except (TypeError, ValueError, RecursionError):
            raise _invalid("what JSON cannot say, or itself, is inside") from None
    if len(document) > DOCUMENT_BYTES_MAX:
        raise _invalid(f"{len(document)} bytes are more than {DOCUMENT_BYTES_MAX}")
    return document


def _object_of(text: bytes) -> dict[str, Any]:
    """Return the object that ``text`` is, if no name in it is there twice: pydantic would take the last."""
    try:
        value = json.loads(text.decode(), object_pairs_hook=_each_name_once, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise _invalid("not UTF-8") from None
    except json.JSONDecodeError as failure:
        raise _invalid(f"not JSON: line {failure.lineno}, column {failure.colno}") from None
    except RecursionError:
        raise _invalid("nested too deeply") from None
    except InvalidEventError:
        raise
    except ValueError:  # a number of thousands of digits
        raise _invalid("a number has too many digits") from None
    if not isinstance(value, dict):
        raise _invalid("must be an object")
    return value


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InvalidEventError(Fault(_step(twice), "document", "is there twice"))
    return named


def _no_constant(name: str) -> None:
    raise _invalid(f"{name} is no JSON")


def _fault_of(error: ErrorDetails) -> Fault:
    path = ".".join(_step(step) for step in error["loc"])
    if error["type"] == "value_error":
        return Fault(path, "rule", str(error["ctx"]["error"]))
    if error["type"] == "json_invalid":
        return Fault(path, "document", f"not JSON: {error['ctx']['error']}")
    rule, message = _RULES.get(error["type"], ("type", error["msg"]))
    return Fault(path, rule, message)


def _step(step: str | int) -> str:
    """Return one step of a path: whole if it may be a field's name, else as any value that somebody else chose."""
    if isinstance(step, int):
        return str(step)
    is_name = step.isascii() and step.replace("_", "").isalpha() and len(step) <= _NAME_LENGTH_MAX
    return step if is_name else shown(step)


def _invalid(message: str) -> InvalidEventError:
    return InvalidEventError(Fault("", "document", message))
