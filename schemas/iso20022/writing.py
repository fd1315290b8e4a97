"""From a message's content back to XML: the elements in the order of the message, whatever the order of the content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from schemas.iso20022.message_name import MessageName
from schemas.iso20022.tables import Leaf, Member, Structure, Wildcard, table_of
from schemas.iso20022.walk import Amount, Content, Value


def write_message(name: MessageName, content: Content) -> bytes:
    """Return a message as an XML document in UTF-8.

    ``ValueError`` if the content has an element that the message has not, or another kind of value than it; whether the
    values are valid is for those to ask who read the message.
    """
    table = table_of(name)
    if table is None:
        raise ValueError(f"no structure of {name} is known")
    namespaces: Any = {None: name.namespace}
    document: etree._Element = etree.Element(table.tag, nsmap=namespaces)
    _write_structure(document, table.document, content)
    return etree.tostring(document, encoding="UTF-8", xml_declaration=True)


def _write_structure(element: etree._Element, structure: Structure, content: Content) -> None:
    unknown = content.keys() - {member.name for member in structure.members.values()}
    if unknown:
        raise ValueError(f"{structure.name} has no {min(unknown)}")
    for member in structure.members.values():
        if member.name in content:
            for value in _values(member, content[member.name]):
                _write(etree.SubElement(element, member.tag), member, value)


def _values(member: Member, value: Value) -> Iterator[Value]:
    if member.maximum == 1:
        yield value
    elif isinstance(value, list):
        yield from value
    else:
        raise _wrong(member, "a list")


def _write(element: etree._Element, member: Member, value: Value) -> None:
    kind = member.kind
    if isinstance(kind, Structure):
        if not isinstance(value, dict):
            raise _wrong(member, "a mapping")
        _write_structure(element, kind, value)
    elif isinstance(kind, Wildcard):
        if not isinstance(value, str):
            raise _wrong(member, "a text")
        element.append(etree.fromstring(value))
    else:
        _write_leaf(element, member, kind, value)


def _write_leaf(element: etree._Element, member: Member, leaf: Leaf, value: Value) -> None:
    if leaf.attribute is not None:
        if not isinstance(value, Amount):
            raise _wrong(member, "an amount")
        element.text, attribute = value
        element.set(leaf.attribute, attribute)
    elif isinstance(value, str):
        element.text = value
    else:
        raise _wrong(member, "a text")


def _wrong(member: Member, wanted: str) -> ValueError:
    return ValueError(f"{member.name} must be {wanted}")
