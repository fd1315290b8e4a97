"""The messages in a document: bare, behind a business application header, or in envelopes of whatever make.

A message is a ``Document`` in a namespace of ISO 20022, wherever it stands; so it does not matter what is around it,
nor which prefixes are used.  Some clearing houses put a message into their own files without a ``Document``: then it is
its one inner element, by its name (``FIToFICstmrCdtTrf``), that or what is in it being in the namespace, inside an
element of a namespace of their own or deeper; right inside a root without one it is a message whose ``Document`` is
misspelt.  And some queues carry a message as text inside an element, which is read as a document of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from lxml import etree

from schemas.errors import Fault
from schemas.iso20022.document import parse
from schemas.iso20022.errors import UnreadableDocumentError
from schemas.iso20022.message_name import NAMESPACE_PREFIX, READ, MessageName
from schemas.iso20022.simple_types import WHITESPACE
from schemas.iso20022.tables import MessageTable, Structure, table_of
from schemas.iso20022.walk import Content, path_of, paths_of_children, walk
from schemas.wording import shown

_HEADER_FAMILY: Final = "head.001"
MESSAGES_MAX: Final = 1_000
"""Of one document: what is wrong with one of many is named by its place among them, which takes time."""
_PAYLOADS_MAX: Final = 100
"""Texts of one document that are read as documents."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was found, and what a walk over it gave."""

    name: MessageName | None
    """None if it says no name of a message."""
    path: str
    """Of its ``Document``, or of the element that stands for one."""
    has_document: bool
    content: Content
    """Of the ``Document``; whole if there are no faults."""
    faults: tuple[Fault, ...]
    element: etree._Element | None = field(default=None, compare=False, repr=False)
    """What was walked over, for who wants a second opinion; None where nothing was."""


class _Named(NamedTuple):
    """What a namespace stands for."""

    name: MessageName | None
    """None if it ends in no name of a message."""
    table: MessageTable | None
    """None if it is none that is read here."""
    wrong: str
    """Why it is none."""


_known: Final[dict[str, _Named]] = {}
"""By namespace those that have a table, of which there are not many; any other is the sender's to choose."""


def read_messages(data: bytes) -> tuple[Message, ...]:
    """Return the messages in a document, at least one, or raise ``UnreadableDocumentError``."""
    root = parse(data)
    messages = tuple(islice(_messages_below(root), MESSAGES_MAX + 1)) or tuple(_messages_in_texts(root))
    if len(messages) > MESSAGES_MAX:
        raise UnreadableDocumentError(f"holds more than {MESSAGES_MAX} messages")
    if not messages:
        raise UnreadableDocumentError(f"holds no message of ISO 20022: its root is {shown(_parts_of(root)[1])}")
    return messages


def _messages_below(root: etree._Element) -> Iterator[Message]:
    pending = [(root, path_of(root))]
    header: MessageName | None = None
    while pending:
        element, path = pending.pop()
        namespace, local_name = _parts_of(element)
        if local_name == "Document":
            yield _read(element, namespace, path, header)
            header = None
        elif local_name == "AppHdr":
            header = _named_by(element)
        else:
            bare = _bare(element, path, local_name)
            if bare is None:
                pending.extend(reversed(paths_of_children(element, path)))
            else:
                yield bare


def _messages_in_texts(root: etree._Element) -> Iterator[Message]:
    texts = ((element.text or "").strip(WHITESPACE) for element in root.iter())
    for text in islice((text for text in texts if text.startswith("<")), _PAYLOADS_MAX):
        yield from _messages_below(parse(text.encode()))


def _read(document: etree._Element, namespace: str, path: str, header: MessageName | None) -> Message:
    name, table, wrong = _named(namespace)
    if table is None:
        return Message(name, path, has_document=True, content={}, faults=(Fault(path, "message", wrong),))
    reading = walk(document, table, table.document)
    faults = reading.faults
    if header is not None and header != name:
        faults = (*faults, Fault(path, "header", f"is {name}, and its AppHdr says {header}"))
    return Message(name, path, has_document=True, content=reading.content, faults=faults, element=document)


def _named(namespace: str) -> _Named:
    known = _known.get(namespace)
    if known is None:
        known = _look_up(namespace)
        if known.table is not None:
            _known[namespace] = known
    return known


def _look_up(namespace: str) -> _Named:
    name = MessageName.in_text(namespace)
    if name is None or namespace != name.namespace:
        wrong = f"is in no namespace of ISO 20022, {NAMESPACE_PREFIX}..., but in {shown(namespace)}"
        return _Named(name, None, wrong)
    if name.family not in READ:
        return _Named(name, None, f"is {name}, which is not read here")
    table = table_of(name)
    return _Named(name, table, f"no structure of {name} is known" if table is None else "")


def _parts_of(element: etree._Element) -> tuple[str, str]:
    """Return the namespace, empty where there is none, and the local name of an element."""
    namespace, _, local_name = element.tag.rpartition("}")
    return namespace[1:], local_name


def _named_by(header: etree._Element) -> MessageName | None:
    """Return the message definition that a business application header names."""
    namespace, _ = _parts_of(header)
    named = MessageName.in_text(namespace)
    if named is None or named.family != _HEADER_FAMILY:
        return None
    identifier = header.findtext(f"{{{named.namespace}}}MsgDefIdr", "")
    return MessageName.in_text(identifier.strip(WHITESPACE))


def _bare(element: etree._Element, path: str, local_name: str) -> Message | None:
    """Return the message that is ``element`` without a ``Document`` around it, or None if it is something else."""
    envelope = element.getparent()
    if envelope is None:
        return None
    around, _ = _parts_of(envelope)
    if around.startswith(NAMESPACE_PREFIX) or (not around and envelope.getparent() is None):
        return None
    first = next(iter(element), None)
    for candidate in (element,) if first is None else (element, first):
        namespace, _ = _parts_of(candidate)
        name, table, _ = _named(namespace)
        inner = None if table is None else next(iter(table.document.members.values()))
        if table is not None and inner is not None and inner.name == local_name and isinstance(inner.kind, Structure):
            reading = walk(element, table, inner.kind)
            content: Content = {local_name: reading.content}
            faults = reading.faults
            return Message(name, path, has_document=False, content=content, faults=faults, element=element)
    return None
