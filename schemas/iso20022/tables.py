"""The structure of a message as tables: which elements it has, in which order, how often, and what is in them.

The structure is compiled, once for each message that comes up, from the metadata of pyiso20022's classes, which were
generated from ISO's schemas: field by field the name, how often it may occur, lengths, patterns and digits; the fields
of a class are in the order of the elements.  What the metadata does not say is said by ISO 20022's own rules: a type
is a choice if its name ends in ``Choice``.

pyiso20022 has some versions of a message in which a class differs from the schema; so ``tests`` compare the tables of
every message for which they find a schema with that schema, element by element.
"""

from __future__ import annotations

import sys
from dataclasses import Field, dataclass, field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from importlib import import_module
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from xsdata.models.datatype import XmlDate, XmlDateTime, XmlPeriod, XmlTime

from schemas.iso20022 import simple_types
from schemas.iso20022.external_codes import CodeSet, code_set_of
from schemas.iso20022.message_name import MessageName
from schemas.iso20022.simple_types import Base64, Check, DecimalNumber, Enumeration, Pattern, Text

UNBOUNDED: Final = sys.maxsize


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element that holds a text."""

    check: Check
    collapses: bool
    """Whether space around the text is not part of it."""
    attribute: str | None = None
    """The one attribute that it must have: ``Ccy`` of an amount."""
    check_attribute: Check | None = None
    codes: CodeSet | None = None
    is_plain: bool = field(init=False)
    """Whether a text that passes the check is all there is to it."""

    def __post_init__(self) -> None:
        is_plain = not self.collapses and self.attribute is None and self.codes is None
        object.__setattr__(self, "is_plain", is_plain)


@dataclass(frozen=True, slots=True)
class Wildcard:
    """An element that holds one element of anybody's."""


@dataclass(frozen=True, slots=True)
class Structure:
    """An element that holds elements: all of a sequence, or one of a choice."""

    name: str
    """The type's."""
    is_choice: bool
    members: dict[str, Member] = field(default_factory=dict)
    """By tag, in order."""
    required: dict[str, Member] = field(default_factory=dict)
    """By name those that must be there; none in a choice."""
    several: list[Member] = field(default_factory=list)
    """Of these those that must be there more than once."""


@dataclass(frozen=True, slots=True)
class Member:
    """A place in a structure."""

    name: str
    tag: str
    """The name with its namespace, as lxml writes it."""
    index: int
    minimum: int
    maximum: int
    kind: Leaf | Wildcard | Structure


@dataclass(frozen=True, slots=True)
class MessageTable:
    """The structure of a message."""

    name: MessageName
    document: Structure
    """What is in its ``Document``."""

    @property
    def tag(self) -> str:
        return f"{{{self.name.namespace}}}Document"


@lru_cache(maxsize=256)  # a name is the sender's to choose
def table_of(name: MessageName) -> MessageTable | None:
    """Return the structure of a message, or None if it is not known."""
    area = name.family[:4]
    module_name = f"pyiso20022.{area}.{str(name).replace('.', '_')}"
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and module_name.startswith(missing.name) and missing.name != "pyiso20022":
            return None
        raise
    return MessageTable(name, _Compiler(name.namespace).structure(module.Document))


class _Compiler:
    """Compiles the classes of one message, each once."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._structures: dict[type, Structure] = {}

    def structure(self, described: type) -> Structure:
        """Return the structure of a class; also of one that is inside itself."""
        known = self._structures.get(described)
        if known is not None:
            return known
        name = getattr(getattr(described, "Meta", None), "name", described.__name__)
        structure = self._structures[described] = Structure(name, name.endswith("Choice"))
        types = _types_of_fields(described)
        for index, member_field in enumerate(fields(described)):
            member = self._member(name, index, member_field, types[member_field.name])
            structure.members[member.tag] = member
            if member.minimum:
                structure.required[member.name] = member
            if member.minimum > 1:
                structure.several.append(member)
        return structure

    def _member(self, inside: str, index: int, described: Field[Any], hint: Any) -> Member:  # noqa: ANN401 - a type form
        metadata = described.metadata
        held, many = _held(hint)
        name = metadata["name"]
        maximum = metadata.get("max_occurs", UNBOUNDED) if many else 1
        minimum = metadata.get("min_occurs", 0) if many else int(metadata.get("required", False))
        kind: Leaf | Wildcard | Structure
        if is_dataclass(held):
            kind = _of_class(held) or self.structure(held)
        else:
            kind = _leaf(held, metadata, name, code_set_of(inside, name))
        return Member(name, f"{{{self._namespace}}}{name}", index, minimum, maximum, kind)


def _of_class(described: type) -> Leaf | Wildcard | None:
    """Return what a class is that holds no elements of the message's own: a text with an attribute, or anything."""
    by_type = {described_field.metadata.get("type"): described_field for described_field in fields(described)}
    if "Wildcard" in by_type:
        return Wildcard()
    if "Attribute" not in by_type:
        return None
    value, attribute = fields(described)
    types = _types_of_fields(described)
    leaf = _leaf(types[value.name], value.metadata, "", None)
    check = _leaf(types[attribute.name], attribute.metadata, "", None).check
    return Leaf(leaf.check, leaf.collapses, attribute.metadata["name"], check)


def _leaf(held: type, facets: Any, name: str, codes: CodeSet | None) -> Leaf:  # noqa: ANN401 - dataclasses' mapping
    """Return the element of a simple type."""
    lengths = facets.get("min_length", 0), facets.get("max_length", UNBOUNDED)
    if held is str:
        return Leaf(Pattern(facets["pattern"]) if "pattern" in facets else Text(*lengths), collapses=False, codes=codes)
    if held is Decimal:
        number = DecimalNumber(facets["total_digits"], facets["fraction_digits"], "min_inclusive" not in facets)
        return Leaf(number, collapses=True)
    if issubclass(held, Enum):
        return Leaf(Enumeration(frozenset(str(member.value) for member in held)), collapses=False)
    if held is XmlPeriod:
        return Leaf(simple_types.year if name == "Yr" else simple_types.year_month, collapses=False)
    if held is bytes:
        return Leaf(Base64(*lengths), collapses=True)
    return Leaf(_PLAIN[held], collapses=held is not XmlDate)


_PLAIN: Final[dict[type, Check]] = {
    bool: simple_types.boolean,
    XmlDate: simple_types.date,
    XmlDateTime: simple_types.date_time,
    XmlTime: simple_types.time,
}


def _types_of_fields(described: type) -> dict[str, Any]:
    return get_type_hints(described, vars(sys.modules[described.__module__]))


def _held(hint: Any) -> tuple[type, bool]:  # noqa: ANN401 - a type form
    """Return the type inside ``None | T`` or ``list[T]``, and whether it is a list."""
    if get_origin(hint) is list:
        return get_args(hint)[0], True
    return next((held for held in get_args(hint) if held is not NoneType), hint), False
