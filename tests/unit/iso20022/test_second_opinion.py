"""pyiso20022's own parser finds the same values in a message as the walk does."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from importlib import import_module
from typing import Any

import pytest
from xsdata.formats.dataclass.parsers import XmlParser

from schemas.iso20022.message_name import SPOKEN, MessageName
from schemas.iso20022.messages import read_messages
from schemas.iso20022.walk import Amount
from schemas.iso20022.writing import write_message
from tests.unit.iso20022.any_message import AnyMessage
from tests.unit.iso20022.examples import EXAMPLES


def parsed(name: MessageName, document: bytes) -> Any:
    module = import_module(f"pyiso20022.{name.family[:4]}.{str(name).replace('.', '_')}")
    return XmlParser().from_bytes(document, module.Document)


def same(held: Any, value: Any) -> bool:
    """Return whether an object of pyiso20022 says what a value of a content says."""
    if isinstance(held, list):
        return isinstance(value, list) and len(held) == len(value) and all(map(same, held, value))
    if isinstance(value, Amount):
        return bool(held.value == Decimal(value.number) and held.ccy == value.currency)
    if is_dataclass(held):
        if not isinstance(value, dict):  # what anybody put there
            return isinstance(value, str)
        inside = {field.metadata["name"]: getattr(held, field.name) for field in fields(held)}
        present = {name: each for name, each in inside.items() if each not in (None, [])}
        return present.keys() == value.keys() and all(same(each, value[name]) for name, each in present.items())
    return bool(held == _as(type(held), value))


def _as(kind: Any, text: str) -> Any:
    if kind is bool:
        return text in ("true", "1")
    return kind(text) if issubclass(kind, str | Enum | Decimal) else kind.from_string(text)


@pytest.mark.parametrize("name", SPOKEN, ids=str)
def test_the_walk_and_pyiso20022_find_the_same_values(name: MessageName) -> None:
    contents = [EXAMPLES[name], *(AnyMessage(name, seed, fullness=0.5).content() for seed in range(12))]
    for number, content in enumerate(contents):
        document = write_message(name, content)
        (message,) = read_messages(document)

        assert same(parsed(name, document), message.content), f"message {number}"


def test_a_value_that_differs_is_seen() -> None:
    name = SPOKEN[0]
    other = write_message(name, EXAMPLES[name]).replace(b"12.30", b"12.31")

    assert not same(parsed(name, other), EXAMPLES[name])
