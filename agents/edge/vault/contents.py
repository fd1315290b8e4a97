"""A message's content as bytes, and back: JSON, in which an amount is an object that no element can be."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.iso20022.walk import Amount, Content, Value

_AMOUNT: Final = "@"
"""Begins no element's name."""
_AMOUNT_IN_BYTES: Final = b'"@"'
"""Where it is not, which is so of what an event has taken its amount out of, the JSON is the content."""
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_decode: Final = msgspec.json.Decoder().decode


def content_to_bytes(content: Content) -> bytes:
    """Return the one sequence of bytes of ``content``; the order of its elements does not matter."""
    return _encode(_plain(content))


def content_from_bytes(data: bytes) -> Content:
    """Return the content that ``content_to_bytes`` wrote."""
    decoded: Content = _decode(data)
    return _content(decoded) if _AMOUNT_IN_BYTES in data else decoded


def _plain(value: Value) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {name: each if isinstance(each, str) else _plain(each) for name, each in value.items()}
    return {_AMOUNT: value} if isinstance(value, Amount) else [_plain(each) for each in value]


def _content(value: Any) -> Any:  # noqa: ANN401 - JSON's values
    if isinstance(value, dict):
        if _AMOUNT in value:
            return Amount(*value[_AMOUNT])
        return {name: _content(each) for name, each in value.items()}
    return [_content(each) for each in value] if isinstance(value, list) else value
