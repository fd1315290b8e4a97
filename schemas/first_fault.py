"""What is wrong with an event's bytes that were refused, in words that are ours.

Why a record is parked goes into the audit chain.  There a word that changed with a library's version, or that hung on
how deep the stack happened to be, would make a replay differ from what it replays.  So bytes that the decoder refused
are read once more, slowly, as the event's type demands and up to the first fault.  What this module says is a function
of the bytes and the type alone.

The reading follows the type and not the bytes: it goes no deeper than the type, and stops where they part, so that a
megabyte of hostile nesting costs as much as its first byte.  Values appear as ``schemas.wording`` shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from struct import unpack
from typing import Final, get_args, get_origin, get_type_hints

from schemas.wording import shown

NOT_THE_ONE_FORM: Final = "fields are not in their order, or a number or a length is written longer than it needs"
"""Of bytes without any other fault: they say an event, but not as the codec writes it."""

_WANTED: Final[dict[type, str]] = {
    int: "an integer",
    str: "text",
    bool: "true or false",
    bytes: "bytes",
    tuple: "a list",
    dict: "a map",
}
_INTEGERS: Final = {
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_SIZES: Final = {1: ">B", 2: ">H", 4: ">I", 8: ">Q"}
_FIXED_MAP, _FIXED_LIST, _FIXED_TEXT, _NIL, _FALSE, _TRUE = 0x80, 0x90, 0xA0, 0xC0, 0xC2, 0xC3
_NEGATIVE = 0xE0
_LENGTH_BYTES: Final[dict[type, dict[int, int]]] = {
    str: {0xD9: 1, 0xDA: 2, 0xDB: 4},
    bytes: {0xC4: 1, 0xC5: 2, 0xC6: 4},
    tuple: {0xDC: 2, 0xDD: 4},
    dict: {0xDE: 2, 0xDF: 4},
}
_FIXED: Final[dict[type, tuple[int, int]]] = {dict: (_FIXED_MAP, 16), tuple: (_FIXED_LIST, 16), str: (_FIXED_TEXT, 32)}
"""Kind -> (first byte, how many first bytes) of those whose length is part of the byte."""


class _FaultFound(Exception):
    """Ends the reading; carries what is wrong."""


def first_fault(event_type: type, body: bytes) -> str:
    """Return where ``body`` is not the one way to write an ``event_type``, and what is wrong there."""
    reading = _Reading(body)
    try:
        reading.event(event_type)
        reading.end()
    except _FaultFound as found:
        path = ".".join(reading.path)
        return f"{path}: {found}" if path else str(found)
    return NOT_THE_ONE_FORM


@cache
def _types_of_fields(event_type: type) -> dict[str, type]:
    hints = get_type_hints(event_type)
    return {field.name: hints[field.name] for field in fields(event_type)}


class _Reading:
    """MessagePack, read as a type demands."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self.path: list[str] = []
        """Where the reading is: names of fields and numbers of entries."""

    def end(self) -> None:
        behind = len(self._body) - self._at
        if behind:
            raise _FaultFound(f"{behind} bytes behind its end")

    def event(self, event_type: type) -> object:
        """Read a map that has each field of a dataclass once, and let the dataclass check its rules."""
        types, values = _types_of_fields(event_type), {}
        for _ in range(self._length(dict)):
            name = self._text()
            if name not in types:
                raise _FaultFound(f"unknown field {shown(name)}")
            if name in values:
                raise _FaultFound(f"field {name} is there twice")
            self.path.append(name)
            values[name] = self._value(types[name])
            self.path.pop()
        for name in types:
            if name not in values:
                raise _FaultFound(f"field {name} is missing")
        try:
            return event_type(**values)
        except ValueError as broken_rule:
            raise _FaultFound(str(broken_rule)) from None

    def _value(self, wanted: type) -> object:
        origin = get_origin(wanted)
        if origin is tuple:
            return tuple(self._entries(get_args(wanted)[0]))
        if origin is dict:
            return self._map(*get_args(wanted))
        if is_dataclass(wanted):
            return self.event(wanted)
        read: dict[type, Callable[[], object]] = {
            int: self._integer,
            str: self._text,
            bool: self._truth,
            bytes: lambda: self._take(self._length(bytes)),
        }
        return read[wanted]()

    def _entries(self, wanted: type) -> list[object]:
        entries = []
        for number in range(self._length(tuple)):
            self.path.append(str(number))
            entries.append(self._value(wanted))
            self.path.pop()
        return entries

    def _map(self, key_type: type, value_type: type) -> dict[object, object]:
        entries: dict[object, object] = {}
        for number in range(self._length(dict)):
            self.path.append(str(number))
            key = self._value(key_type)
            if key in entries:
                raise _FaultFound("the same key as an entry before")
            entries[key] = self._value(value_type)
            self.path.pop()
        return entries

    def _text(self) -> str:
        encoded = self._take(self._length(str))
        try:
            return encoded.decode()
        except UnicodeDecodeError:
            raise _FaultFound("text that is not UTF-8") from None

    def _truth(self) -> bool:
        head = self._head()
        if head not in (_FALSE, _TRUE):
            raise self._other_than(bool, head)
        return head == _TRUE

    def _integer(self) -> int:
        head = self._head()
        if head < _FIXED_MAP:
            return head
        if head >= _NEGATIVE:
            return head - 256
        form = _INTEGERS.get(head)
        if form is None:
            raise self._other_than(int, head)
        number: int = unpack(form, self._take(1 << (head & 3)))[0]
        return number

    def _length(self, wanted: type) -> int:
        """Read what stands before a text, bytes, a list or a map: its kind and length."""
        head = self._head()
        first, count = _FIXED.get(wanted, (0, 0))
        if first <= head < first + count:
            return head - first
        length_bytes = _LENGTH_BYTES[wanted].get(head)
        if length_bytes is None:
            raise self._other_than(wanted, head)
        length: int = unpack(_SIZES[length_bytes], self._take(length_bytes))[0]
        return length

    def _head(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._body[self._at : self._at + count]
        if len(taken) < count:
            raise _FaultFound("the body ends in the middle")
        self._at += count
        return taken

    @staticmethod
    def _other_than(wanted: type, head: int) -> _FaultFound:
        return _FaultFound(f"must be {_WANTED[wanted]}, not {_kind_of(head)}")


def _kind_of(head: int) -> str:
    """Return what a value is that begins with the byte ``head``."""
    if head < _FIXED_MAP or head >= _NEGATIVE or head in _INTEGERS:
        return _WANTED[int]
    for kind, (first, count) in _FIXED.items():
        if first <= head < first + count:
            return _WANTED[kind]
    for kind, heads in _LENGTH_BYTES.items():
        if head in heads:
            return _WANTED[kind]
    return {
        _NIL: "nothing",
        _FALSE: "true or false",
        _TRUE: "true or false",
        0xCA: "a fraction",
        0xCB: "a fraction",
    }.get(head, "a value of another kind")
