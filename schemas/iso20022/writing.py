"""From a message's content back to XML: the elements in the order of the message, whatever the order of the content.

All elements are in the message's namespace, which is declared once, so the XML is put together as text: a small part of
what it takes to build a tree and serialise it, to the same bytes.  What writes a structure is made of its table once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Never

from lxml import etree

from schemas.iso20022.message_name import MessageName
from schemas.iso20022.tables import Leaf, Member, Structure, table_of
from schemas.iso20022.walk import Amount, Content, Value

_Add = Callable[[str], None]
_Write = Callable[[Value, _Add], None]
"""Adds the texts of what stands under one name."""

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
    parts = [_DECLARATION]
    _writer_of(name)(content, parts.append)
    return "".join(parts).encode()


@lru_cache(maxsize=64)
def _writer_of(name: MessageName) -> _Write:
    table = table_of(name)
    if table is None:
        raise ValueError(f"no structure of {name} is known")
    return _Compiler(name.namespace).document(table.document)


class _Compiler:
    """Makes what writes the structures of one message, each once."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._writers: dict[int, dict[str, _Write]] = {}
        """Of the structure with this identity: what writes a member, by its name."""

    def document(self, document: Structure) -> _Write:
        return self._elements("Document", document, f' xmlns="{self._namespace}"')

    def _elements(self, name: str, structure: Structure, attributes: str = "") -> _Write:
        """Return what writes an element that holds elements."""
        writers = self._writers_of(structure)
        index = {member.name: member.index for member in structure.members.values()}.__getitem__
        empty, opening, closing = f"<{name}{attributes}/>", f"<{name}{attributes}>", f"</{name}>"

        def write(value: Value, add: _Add) -> None:
            if not isinstance(value, dict):
                _refuse(name, "a mapping")
            if not value:
                add(empty)
                return
            try:
                ordered = sorted(value, key=index)
            except KeyError as unknown:
                raise ValueError(f"{structure.name} has no {unknown.args[0]}") from None
            add(opening)
            for each in ordered:
                writers[each](value[each], add)
            add(closing)

        return write

    def _writers_of(self, structure: Structure) -> dict[str, _Write]:
        writers = self._writers.get(id(structure))
        if writers is None:
            writers = self._writers[id(structure)] = {}
            for member in structure.members.values():
                writers[member.name] = self._member(member)
        return writers

    def _member(self, member: Member) -> _Write:
        if isinstance(member.kind, Structure):
            write = self._elements(member.name, member.kind)
        elif isinstance(member.kind, Leaf):
            write = _leaf(member.name, member.kind)
        else:
            write = self._foreign(member.name)
        return write if member.maximum == 1 else _each(member.name, write)

    def _foreign(self, name: str) -> _Write:
        """Return what writes an element that holds one of somebody else's, as it is written inside of ours."""
        namespaces: Any = {None: self._namespace}

        def write(value: Value, add: _Add) -> None:
            if not isinstance(value, str):
                _refuse(name, "a text")
            around: etree._Element = etree.Element(f"{{{self._namespace}}}{name}", nsmap=namespaces)
            around.append(etree.fromstring(value))
            written = etree.tostring(around, encoding="unicode")
            add(f"<{name}>{written[written.index('>') + 1 :]}")

        return write


def _leaf(name: str, leaf: Leaf) -> _Write:
    attribute = leaf.attribute

    def write_text(value: Value, add: _Add) -> None:
        if not isinstance(value, str):
            _refuse(name, "a text")
        add(f"<{name}>{value if _find_not_plain(value) is None else _escaped(value, _ESCAPES)}</{name}>")

    def write_amount(value: Value, add: _Add) -> None:
        if not isinstance(value, Amount):
            _refuse(name, "an amount")
        currency = _escaped(value.currency, _ATTRIBUTE_ESCAPES)
        add(f'<{name} {attribute}="{currency}">{_escaped(value.number, _ESCAPES)}</{name}>')

    return write_text if attribute is None else write_amount


def _each(name: str, write: _Write) -> _Write:
    """Return what writes an element that may be repeated."""

    def write_each(value: Value, add: _Add) -> None:
        if not isinstance(value, list):
            _refuse(name, "a list")
        for each in value:
            write(each, add)

    return write_each


def _escaped(text: str, escapes: dict[int, str]) -> str:
    if _find_not_plain(text) is None:
        return text
    if _find_unspeakable(text) is not None:
        raise ValueError("a character in the content cannot be said in XML")
    return text.translate(escapes)


def _refuse(name: str, wanted: str) -> Never:
    raise ValueError(f"{name} must be {wanted}")
