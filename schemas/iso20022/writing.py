"""From a message's content back to XML: the elements in the order of the message, whatever the order of the content.

All elements are in the message's namespace, which is declared once, so the XML is put together as text: half of what
it takes to build a tree and serialise it, to the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from schemas.iso20022.message_name import MessageName
from schemas.iso20022.tables import Leaf, Member, Structure, Wildcard, table_of
from schemas.iso20022.walk import Amount, Content, Value

_DECLARATION: Final = "<?xml version='1.0' encoding='UTF-8'?>\n"
_find_not_plain = re.compile(r"[^\t\n !#-%\'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").search
"""What is escaped, and what XML cannot say at all."""
_find_unspeakable = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").search
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE_ESCAPES: Final = _ESCAPES | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


def write_message(name: MessageName, content: Content) -> bytes:
    """Return a message as an XML document in UTF-8.

    ``ValueError`` if the content has an element that the message has not, or another kind of value than it, or a
    character that XML cannot say; whether the values are valid is for those to ask who read the message.
    """
    table = table_of(name)
    if table is None:
        raise ValueError(f"no structure of {name} is known")
    writer = _Writer(name.namespace)
    writer.structure("Document", table.document, content, f' xmlns="{name.namespace}"')
    return (_DECLARATION + "".join(writer.parts)).encode()


class _Writer:
    """The text of one message."""

    __slots__ = ("_namespace", "_tag", "parts")

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._tag = f"{{{namespace}}}"
        self.parts: list[str] = []

    def structure(self, name: str, structure: Structure, content: Content, attributes: str = "") -> None:
        if not content:
            self.parts.append(f"<{name}{attributes}/>")
            return
        self.parts.append(f"<{name}{attributes}>")
        for member in sorted(self._members(structure, content), key=_index):
            for value in _values(member, content[member.name]):
                self._write(member, value)
        self.parts.append(f"</{name}>")

    def _members(self, structure: Structure, content: Content) -> Iterator[Member]:
        for name in content:
            member = structure.members.get(self._tag + name)
            if member is None:
                raise ValueError(f"{structure.name} has no {name}")
            yield member

    def _write(self, member: Member, value: Value) -> None:
        kind, name = member.kind, member.name
        if isinstance(kind, Structure):
            if not isinstance(value, dict):
                raise _wrong(member, "a mapping")
            self.structure(name, kind, value)
        elif isinstance(kind, Wildcard):
            if not isinstance(value, str):
                raise _wrong(member, "a text")
            self.parts.append(f"<{name}>{self._foreign(value)}</{name}>")
        else:
            self._leaf(member, kind, value)

    def _leaf(self, member: Member, leaf: Leaf, value: Value) -> None:
        name = member.name
        if leaf.attribute is not None:
            if not isinstance(value, Amount):
                raise _wrong(member, "an amount")
            attribute = _escaped(value.currency, _ATTRIBUTE_ESCAPES)
            self.parts.append(f'<{name} {leaf.attribute}="{attribute}">{_escaped(value.number, _ESCAPES)}</{name}>')
        elif isinstance(value, str):
            self.parts.append(f"<{name}>{_escaped(value, _ESCAPES)}</{name}>")
        else:
            raise _wrong(member, "a text")

    def _foreign(self, xml: str) -> str:
        """Return an element of somebody else's as it is written inside of ours."""
        namespaces: Any = {None: self._namespace}
        around: etree._Element = etree.Element(f"{self._tag}around", nsmap=namespaces)
        around.append(etree.fromstring(xml))
        written = etree.tostring(around, encoding="unicode")
        return written[written.index(">") + 1 : written.rindex("<")]


def _index(member: Member) -> int:
    return member.index


def _values(member: Member, value: Value) -> Iterator[Value]:
    if member.maximum == 1:
        yield value
    elif isinstance(value, list):
        yield from value
    else:
        raise _wrong(member, "a list")


def _escaped(text: str, escapes: dict[int, str]) -> str:
    if _find_not_plain(text) is None:
        return text
    if _find_unspeakable(text) is not None:
        raise ValueError("a character in the content cannot be said in XML")
    return text.translate(escapes)


def _wrong(member: Member, wanted: str) -> ValueError:
    return ValueError(f"{member.name} must be {wanted}")
