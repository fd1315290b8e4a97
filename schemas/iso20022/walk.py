"""One walk over a message: what is wrong with it, and what is in it.

A message's content is its elements without the XML: a mapping from names to texts, to contents, or to lists of these
where an element may be repeated; in the order of the message.  Texts are whole, with the space around them where the
type says that it belongs to them.  What is inside a wildcard is kept as XML.

The walk's verdict is that of the schema, and stricter only where a code is none of its external code set.  It says
everything that is wrong, up to ``FAULTS_MAX``, and takes time and memory in proportion to the message.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from lxml import etree

from schemas.errors import Fault
from schemas.iso20022.simple_types import WHITESPACE
from schemas.iso20022.tables import Leaf, Member, MessageTable, Structure, Wildcard
from schemas.wording import shown

FAULTS_MAX: Final = 100
"""Behind so many a message is not walked further."""


class Amount(NamedTuple):
    """A number and its currency, as texts."""

    number: str
    currency: str


Content = dict[str, "Value"]
Value = str | Amount | Content | list["Value"]

_NAME_LENGTH_MAX: Final = 64
_INSTANCE: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_LOCATIONS: Final = frozenset({f"{_INSTANCE}schemaLocation", f"{_INSTANCE}noNamespaceSchemaLocation"})


class Reading(NamedTuple):
    """What a walk found."""

    content: Content
    """Whole if there are no faults; otherwise what could be read."""
    faults: tuple[Fault, ...]


def _append(content: Content, name: str, value: Value) -> None:
    values = content.setdefault(name, [])
    if isinstance(values, list):
        values.append(value)


class _EnoughFaults(Exception):
    """There are as many faults as anybody wants to hear of."""


def walk(element: etree._Element, table: MessageTable, structure: Structure) -> Reading:
    """Read what is in ``element``, which has a structure of the message in ``table``."""
    walker = _Walk(table)
    content: Content = {}
    try:
        content = walker.structure(element, structure)
    except _EnoughFaults:
        walker.faults.append(Fault("", "document", f"there are more than {FAULTS_MAX} faults; the rest was not read"))
    return Reading(content, tuple(walker.faults))


def path_of(element: etree._Element) -> str:
    """Return the XPath of an element, its steps in the namespace that each element has."""
    steps = []
    for step in (element, *element.iterancestors()):
        before = sum(1 for _ in step.itersiblings(step.tag, preceding=True))
        numbered = before or next(step.itersiblings(step.tag), None) is not None
        steps.append(f"{_name(step)}[{before + 1}]" if numbered else _name(step))
    return "/" + "/".join(reversed(steps))


def paths_of_children(element: etree._Element, path: str) -> list[tuple[etree._Element, str]]:
    """Return what is in the element at ``path``, each with its XPath, in time in proportion to how much there is."""
    children = list(element)
    totals = Counter(child.tag for child in children)
    met: Counter[str] = Counter()
    placed = []
    for child in children:
        met[child.tag] += 1
        number = f"[{met[child.tag]}]" if totals[child.tag] > 1 else ""
        placed.append((child, f"{path}/{_name(child)}{number}"))
    return placed


def _name(element_or_tag: etree._Element | str | bytes) -> str:
    """Return a name without its namespace, the beginning of it if somebody made it long."""
    return etree.QName(element_or_tag).localname[:_NAME_LENGTH_MAX]


class _Walk:
    """The walk over one message."""

    __slots__ = ("_table", "faults")

    def __init__(self, table: MessageTable) -> None:
        self._table = table
        self.faults: list[Fault] = []

    def structure(self, element: etree._Element, structure: Structure) -> Content:
        """Read the elements inside ``element``."""
        if element.keys():
            self._check_attributes(element, structure.name)
        text = element.text
        if text is not None and text.strip(WHITESPACE):
            self._text_between(element)
        content: Content = {}
        members = structure.members
        last, times = -1, 0
        for child in element:
            tail = child.tail
            if tail is not None and tail.strip(WHITESPACE):
                self._text_between(element)
            member = members.get(child.tag)
            if member is None:
                self._unexpected(child, element)
                continue
            if member.index > last and (last < 0 or not structure.is_choice):
                last, times = member.index, 1
            elif member.index == last and times < member.maximum:
                times += 1
            else:
                self._misplaced(child, member, last, structure)
            kind = member.kind
            value = self._leaf(child, kind) if isinstance(kind, Leaf) else self._inner(child, kind)
            if member.maximum == 1:
                content[member.name] = value
            else:
                _append(content, member.name, value)
        if not content or structure.several or not structure.required.keys() <= content.keys():
            self._check_missing(element, structure, content)
        return content

    def _inner(self, element: etree._Element, kind: Structure | Wildcard) -> Content | str:
        return self.structure(element, kind) if isinstance(kind, Structure) else self._wildcard(element)

    def _misplaced(self, element: etree._Element, member: Member, last: int, structure: Structure) -> None:
        if member.index == last:
            self._fault(element, "schema.repeated", f"is there more than {member.maximum} times")
        elif structure.is_choice:
            first = next(other.name for other in structure.members.values() if other.index == last)
            self._fault(element, "schema.choice", f"stands beside {first}, and only one of them may")
        else:
            self._fault(element, "schema.order", "stands behind what it should stand before")

    def _unexpected(self, child: etree._Element, element: etree._Element) -> None:
        self._fault(child, "schema.unexpected", f"is not known in {_name(element)}")

    def _leaf(self, element: etree._Element, leaf: Leaf) -> str | Amount:
        text = element.text or ""
        wrong = leaf.check(text)
        if leaf.is_plain and wrong is None and not len(element) and not element.keys():
            return text
        if wrong is not None:
            self._fault(element, "schema.value", wrong)
        elif leaf.codes is not None and text not in leaf.codes.codes:
            self._fault(element, f"code-set.{leaf.codes.name}", f"{shown(text)} is not in {leaf.codes.name}")
        if len(element):
            for child in element:
                self._unexpected(child, element)
        if leaf.collapses:
            text = text.strip(WHITESPACE)
        if leaf.attribute is not None:
            return Amount(text, self._attribute(element, leaf, leaf.attribute))
        if element.keys():
            self._check_attributes(element, "")
        return text

    def _attribute(self, element: etree._Element, leaf: Leaf, name: str) -> str:
        value = element.get(name)
        if value is None:
            self._fault(element, "schema.missing", "is missing", f"/@{name}")
            return ""
        wrong = None if leaf.check_attribute is None else leaf.check_attribute(value)
        if wrong is not None:
            self._fault(element, "schema.value", wrong, f"/@{name}")
        if len(element.keys()) > 1:
            self._check_attributes(element, "", name)
        return value

    def _wildcard(self, element: etree._Element) -> str:
        """Return what is inside as XML; a ``Document`` anywhere in there must be one, as the schema would find it."""
        if element.keys():
            self._check_attributes(element, "")
        inside = list(element)
        if (element.text or "").strip(WHITESPACE) or any((child.tail or "").strip(WHITESPACE) for child in inside):
            self._text_between(element)
        if not inside:
            self._fault(element, "schema.missing", "holds no element")
            return ""
        for child in inside[1:]:
            self._fault(child, "schema.repeated", "is one element too many")
        pending = inside[:1]
        while pending:
            foreign = pending.pop()
            if foreign.tag == self._table.tag:
                self.structure(foreign, self._table.document)
            else:
                pending.extend(foreign)
        return etree.tostring(inside[0], encoding="unicode", with_tail=False)

    def _check_missing(self, element: etree._Element, structure: Structure, content: Content) -> None:
        for name, member in structure.required.items():
            value = content.get(name)
            if value is None:
                self._fault(element, "schema.missing", "is missing", f"/{name}")
            elif isinstance(value, list) and len(value) < member.minimum:
                self._fault(element, "schema.missing", f"is not there {member.minimum} times", f"/{name}")
        if structure.is_choice and not content:
            names = " or ".join(member.name for member in structure.members.values())
            self._fault(element, "schema.missing", f"holds none of {names}")

    def _check_attributes(self, element: etree._Element, type_name: str, expected: str = "") -> None:
        """Find attributes that are not the type's own; those that help to find a schema may stand everywhere."""
        for name in element.keys():  # noqa: SIM118 - an element is no mapping
            if name == expected or name in _LOCATIONS:
                continue
            value = element.get(name, "")
            if name == f"{_INSTANCE}type" and type_name and self._names_type(element, value, type_name):
                continue
            self._fault(element, "schema.attribute", "is not known here", f"/@{_name(name)}")

    def _names_type(self, element: etree._Element, value: str, type_name: str) -> bool:
        prefix, _, local = value.strip(WHITESPACE).rpartition(":")
        return local == type_name and element.nsmap.get(prefix or None) == self._table.name.namespace

    def _text_between(self, element: etree._Element) -> None:
        self._fault(element, "schema.text", "has text between its elements")

    def _fault(self, element: etree._Element, rule: str, message: str, below: str = "") -> None:
        if len(self.faults) >= FAULTS_MAX:
            raise _EnoughFaults
        self.faults.append(Fault(path_of(element) + below, rule, message))
