"""A message's content as bytes, and back: JSON, in which an amount is an object that no element can be."""

from __future__ import annotations

import json
from typing import Any, Final

from schemas.iso20022.walk import Amount, Content, Value

_AMOUNT: Final = "@"
"""Begins no element's name."""


def content_to_bytes(content: Content) -> bytes:
    """Return the one sequence of bytes of ``content``; the order of its elements does not matter."""
    return json.dumps(_plain(content), ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def content_from_bytes(data: bytes) -> Content:
    """Return the content that ``content_to_bytes`` wrote."""
    content: Content = json.loads(data, object_hook=_amount_or_content)
    return content


def _plain(value: Value) -> object:
    if isinstance(value, Amount):
        return {_AMOUNT: list(value)}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _amount_or_content(value: dict[str, Any]) -> Amount | Content:
    return Amount(*value[_AMOUNT]) if _AMOUNT in value else value
