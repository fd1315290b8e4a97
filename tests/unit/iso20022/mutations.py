"""Messages made wrong, or made different and still right: in their elements, in their texts, in their bytes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from lxml import etree

XSI = "http://www.w3.org/2001/XMLSchema-instance"
_TEXTS = (
    "", " ", "\n", "0", "1", "-1", "+1", "1.", ".5", ".", "1e3", "0.00001", "0.000001", "99999999999999999999", "true",
    "TRUE", " true ", "\t1\n", "NaN", "INF", "٣", "EUR", "eur", "EURO", "DE", "D", "2025-10-05", "2025-02-29",
    "2025-10-05T03:30:00", "2025-10-05T24:00:00", "2025-10-05T24:00:01", "2025-10-05T03:30:60",
    "2025-10-05T03:30:00+15:00",
    "2025-10-05T03:30:00.", " 2025-10-05T03:30:00", "2025-10-05T03:30:00z", "0000-01-01", "02025-01-01", "12025-01-01",
    "24:00:00", "24:00", "2025-13", "RJCT", "ACCP", "CLRG", "SLEV", "AC01", "x" * 35, "x" * 36, "x" * 140, "x" * 141,
    "x" * 2049, "é" * 35, "😀" * 35, "\u00a0", "\u2028", "ZQAADEX0", "ZQAADEX0AB", "zqaadex0", "ZQAADEX0\n",
    "8a562c67-ca16-48ba-b074-65581be6f001", "8A562C67-CA16-48BA-B074-65581BE6F001", "+49-30", "+49 30", "<&>",
)  # fmt: skip
_ATTRIBUTES = (
    ("Ccy", "EUR"), ("Ccy", "euro"), ("Ccy", " EUR"), ("Other", "1"), (f"{{{XSI}}}nil", "false"),
    (f"{{{XSI}}}nil", "true"),
    (f"{{{XSI}}}schemaLocation", "urn:x x.xsd"), (f"{{{XSI}}}noNamespaceSchemaLocation", "x.xsd"),
    (f"{{{XSI}}}other", "1"), ("{http://www.w3.org/XML/1998/namespace}lang", "en"), ("{urn:x}a", "1"),
)  # fmt: skip
_BYTES = (
    b"<",
    b">",
    b"&",
    b"\0",
    b"\xff",
    b"\xc3",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?x",
    b"&#x20;",
    b"&lt;",
    b"&x;",
    b"\xef\xbb\xbf",
    b" ",
)

_OTHER_CHOICES = {"Cd": "Prtry", "IBAN": "Othr", "Dt": "DtTm", "FrDt": "ToDt", "OrgId": "PrvtId", "Pty": "Agt"}

Tree = Any


def _elements(root: Tree) -> list[Tree]:
    return [element for element in root.iter() if isinstance(element.tag, str)]


def _inner(root: Tree, random: Random) -> Tree:
    return random.choice(_elements(root)[1:])


def _delete(root: Tree, random: Random) -> None:
    element = _inner(root, random)
    element.getparent().remove(element)


def _duplicate(root: Tree, random: Random) -> None:
    element = _inner(root, random)
    element.addnext(deepcopy(element))


def _swap(root: Tree, random: Random) -> None:
    element = _inner(root, random)
    other = element.getnext()
    if other is not None:
        other.addnext(element)


def _move(root: Tree, random: Random) -> None:
    element, place = deepcopy(_inner(root, random)), _inner(root, random)
    random.choice((place.append, place.addnext, place.addprevious))(element)


def _replace(root: Tree, random: Random) -> None:
    element, other = _inner(root, random), deepcopy(_inner(root, random))
    element.getparent().replace(element, other)


def _rename(root: Tree, random: Random) -> None:
    element = random.choice(_elements(root))
    own = etree.QName(root).namespace
    namespace = random.choice((own, own, None) if element is root else (own, own, None, "urn:x"))  # else an envelope
    name = random.choice((etree.QName(_inner(root, random)).localname, "Unknown", etree.QName(element).localname))
    element.tag = name if namespace is None else f"{{{namespace}}}{name}"


def _text(root: Tree, random: Random) -> None:
    random.choice(_elements(root)).text = random.choice(_TEXTS)


def _leaf_text(root: Tree, random: Random) -> None:
    random.choice([element for element in _elements(root) if not len(element)] or [root]).text = random.choice(_TEXTS)


def _pad(root: Tree, random: Random) -> None:
    element = random.choice(_elements(root))
    element.text = random.choice((" ", "\n", "\u00a0", "x")) + (element.text or "")


def _cut(root: Tree, random: Random) -> None:
    element = random.choice([element for element in _elements(root) if element.text] or [root])
    element.text = (element.text or "")[: -random.randint(1, 3)]


def _tail(root: Tree, random: Random) -> None:
    _inner(root, random).tail = random.choice(("x", " \n\t", "\u00a0", "0"))


def _attribute(root: Tree, random: Random) -> None:
    name, value = random.choice(_ATTRIBUTES)
    random.choice(_elements(root)).set(name, value)


def _no_attribute(root: Tree, random: Random) -> None:
    with_attributes = [element for element in _elements(root) if element.attrib]
    if with_attributes:
        random.choice(with_attributes).attrib.clear()


def _comment(root: Tree, random: Random) -> None:
    element, comment = random.choice(_elements(root)), random.choice((etree.Comment("x"), etree.PI("x", "y")))
    if element.text and random.random() < 0.7:
        half = len(element.text) // 2
        comment.tail, element.text = element.text[half:], element.text[:half]
    element.insert(0, comment)


def _child(root: Tree, random: Random) -> None:
    etree.SubElement(_inner(root, random), random.choice(("Unknown", _inner(root, random).tag)))


def _both(root: Tree, random: Random) -> None:
    """Put the other one of a choice behind the one that is there."""
    places = [element for element in _elements(root) if etree.QName(element).localname in _OTHER_CHOICES]
    if places:
        element = random.choice(places)
        other = etree.Element(f"{{{etree.QName(root).namespace}}}{_OTHER_CHOICES[etree.QName(element).localname]}")
        other.text = random.choice(("x", "2025-10-05T03:30:00"))
        element.addnext(other)


def _nested(root: Tree, random: Random) -> None:
    """Put a message into a message, where it may hold anything."""
    places = [element for element in _elements(root) if etree.QName(element).localname == "Envlp"]
    if places:
        copy = deepcopy(root)
        if random.random() < 0.5:
            _leaf_text(copy, random)
        place = random.choice(places)
        if random.random() < 0.7:
            place.clear()
        if random.random() < 0.5:
            place = etree.SubElement(place, "Between")
        place.append(copy)


_OF_TREES: tuple[Callable[[Tree, Random], None], ...] = (
    _delete, _duplicate, _swap, _move, _replace, _rename, _text, _leaf_text, _leaf_text, _pad, _cut, _tail, _attribute,
    _no_attribute, _comment, _child, _both, _nested,
)  # fmt: skip


def mutated(document: bytes, random: Random) -> bytes:
    """Return the document with one to three changes to its tree."""
    root = etree.fromstring(document)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if len(_elements(root)) > 1:
            random.choice(_OF_TREES)(root, random)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=random.random() < 0.5)


def damaged(document: bytes, random: Random) -> bytes:
    """Return the document with one to three changes to its bytes."""
    data = bytearray(document)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0:
                data[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                data[at:at] = random.choice(_BYTES)
            case 2:
                del data[at : at + random.choice((1, 1, 3, 20))]
            case 3:
                end = at + random.randint(1, 60)
                data[at:at] = data[at:end]
            case _:
                del data[at:]
        if not data:
            return b""
    return bytes(data)
