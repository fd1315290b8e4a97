"""From bytes to an XML tree, and never to anything else.

What is refused, and with it every attack that needs it: a document type, and so every entity but XML's five; more than
``DOCUMENT_BYTES_MAX`` bytes or ``TAGS_MAX`` tags, and so a tree of more than some 400 MB; elements more than 256 deep,
which is libxml2's own limit.  Nothing is fetched: no schema that the document names, and no entity.

An encoding is what the byte order mark says, or else the XML declaration, or else UTF-8.  The bytes are decoded here,
strictly, and libxml2 is given UTF-8, so that both never differ about it.  Comments and processing instructions are
dropped, and the texts around one are one text.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from typing import Final

from lxml import etree

from schemas.iso20022.errors import UnreadableDocumentError

DOCUMENT_BYTES_MAX: Final = 10 * 1024 * 1024
TAGS_MAX: Final = 1_000_000
_MESSAGE_LENGTH_MAX: Final = 120

_PARSER: Final = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)
_ENVELOPE: Final = b"Envelope"
_match_declaration = re.compile(rb"<\?xml\s[^>]*?\?>").match
_find_encoding = re.compile(rb"encoding\s*=\s*[\"']([A-Za-z0-9._-]*)[\"']").search
_match_prolog = re.compile(rb"(?>\s+|<\?(?>.*?\?>)|<!--(?>.*?-->))*+", re.DOTALL).match
_match_header = re.compile(rb"<(?:[\w.-]+:)?AppHdr[\s>]").match
_is_supported = re.compile(
    r"utf-?8|us-ascii|ascii|utf-16(?:le|be)?|iso-8859-(?:[1-9]|1[03-6])|windows-125[0-8]"
).fullmatch


def parse(data: bytes) -> etree._Element:
    """Return the root element, or raise ``UnreadableDocumentError``.

    An AppHdr and a Document that follow each other without anything around them, as they go through some queues, are
    given an element around them.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        raise UnreadableDocumentError(f"has more than {DOCUMENT_BYTES_MAX} bytes")
    text = _in_utf8(data)
    if text.count(b"<") > TAGS_MAX:
        raise UnreadableDocumentError(f"has more than {TAGS_MAX} tags")
    prolog = _match_prolog(text)
    root_at = 0 if prolog is None else prolog.end()
    if not text.startswith(b"<", root_at):
        raise UnreadableDocumentError("is not XML" if text.strip() else "is empty")
    if text.startswith(b"<!DOCTYPE", root_at):
        raise UnreadableDocumentError("has a document type, and so may have entities")
    try:
        return etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError as failure:
        if _has_more_behind_its_root(failure) and _match_header(text, root_at):
            return _parse_row(text[root_at:])
        raise _not_well_formed(failure) from None


def _parse_row(elements: bytes) -> etree._Element:
    try:
        return etree.fromstring(b"<%s>%s</%s>" % (_ENVELOPE, elements, _ENVELOPE), _PARSER)
    except etree.XMLSyntaxError as failure:
        raise _not_well_formed(failure) from None


def _in_utf8(data: bytes) -> bytes:
    """Return the document in UTF-8, without a byte order mark."""
    if data.startswith((BOM_UTF32_LE, BOM_UTF32_BE)):
        raise UnreadableDocumentError("is in UTF-32, which is not read")
    if data.startswith(BOM_UTF8):
        data, encoding = data[len(BOM_UTF8) :], "utf-8"
    elif data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding = "utf-16"
    elif data.startswith((b"<\0", b"\0<")):
        encoding = "utf-16-le" if data.startswith(b"<") else "utf-16-be"
    else:
        encoding = _declared(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as failure:
        raise UnreadableDocumentError(f"is not in {encoding}, which it should be in: byte {failure.start}") from None
    return data if encoding == "utf-8" else text.encode()


def _declared(data: bytes) -> str:
    """Return the encoding that the XML declaration names, as Python calls it."""
    declaration = _match_declaration(data)
    named = None if declaration is None else _find_encoding(declaration[0])
    if named is None:
        return "utf-8"
    encoding = named[1].decode().lower()
    if _is_supported(encoding) is None:
        raise UnreadableDocumentError(f"is in an encoding that is not read: {encoding[:40]}")
    return "utf-8" if encoding in {"utf8", "utf-8"} else encoding


def _has_more_behind_its_root(failure: etree.XMLSyntaxError) -> bool:
    return "ERR_DOCUMENT_END" in str(failure.error_log)


def _not_well_formed(failure: etree.XMLSyntaxError) -> UnreadableDocumentError:
    message = ascii(failure.msg.rpartition(", line ")[0] or failure.msg)[1:-1]
    if len(message) > _MESSAGE_LENGTH_MAX:
        message = f"{message[:_MESSAGE_LENGTH_MAX]}..."
    return UnreadableDocumentError(f"is not well-formed XML: line {failure.lineno}, column {failure.offset}: {message}")
