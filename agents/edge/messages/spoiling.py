"""How a valid message is made invalid, in one way, and which rule that breaks."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from lxml import etree

from schemas.iso20022.message_name import CAMT_029, CAMT_056, PACS_002, PACS_008, MessageName


@dataclass(frozen=True, slots=True)
class Spoil:
    """One way to make a message invalid."""

    label: str
    rule: str
    """Of the violation that must be found."""
    apply: Callable[[bytes], bytes]
    name: MessageName | None = None
    """The only message that it is for."""
    scheme: str | None = None
    """The only scheme that it is for; None if the schema is broken already."""


def spoils_for(name: MessageName, scheme: str) -> tuple[Spoil, ...]:
    """Return the ways to spoil a message of a scheme."""
    return tuple(spoil for spoil in _SPOILS if spoil.name in (None, name) and spoil.scheme in (None, scheme))


def _tree(edit: Callable[[etree._Element], None]) -> Callable[[bytes], bytes]:
    """Return the change of a document that ``edit`` makes to its tree."""

    def apply(document: bytes) -> bytes:
        root = etree.fromstring(document)
        edit(root)
        return etree.tostring(root, encoding="UTF-8", xml_declaration=True)

    return apply


def _found(root: etree._Element, name: str) -> etree._Element:
    found = root.find(f".//{{*}}{name}")
    if found is None:
        raise ValueError(f"there is no {name} to spoil")
    return found


def _header(root: etree._Element) -> etree._Element:
    """Return the group header, or the assignment where there is none: the first element of any message."""
    return root[0][0]


def _text_of(name: str, text: str) -> Callable[[bytes], bytes]:
    def edit(root: etree._Element) -> None:
        _found(root, name).text = text

    return _tree(edit)


def _missing(root: etree._Element) -> None:
    header = _header(root)
    header.remove(header[0])


def _unknown(root: etree._Element) -> None:
    header = _header(root)
    etree.SubElement(header, f"{{{etree.QName(header).namespace}}}Unknwn").text = "1"


def _order(root: etree._Element) -> None:
    header = _header(root)
    header.append(header[0])


def _repeated(root: etree._Element) -> None:
    first = _header(root)[0]
    first.addnext(deepcopy(first))


def _choice(root: etree._Element) -> None:
    identification = _found(root, "DbtrAcct")[0]
    other = identification[0]
    is_iban = etree.QName(other).localname == "IBAN"
    namespace = etree.QName(other).namespace
    second = etree.SubElement(identification, f"{{{namespace}}}{'Othr' if is_iban else 'IBAN'}")
    if is_iban:
        etree.SubElement(second, f"{{{namespace}}}Id").text = "1"
    else:
        second.text = "DE02000000000000000000"


def _stray(root: etree._Element) -> None:
    _header(root).text = "stray"


def _attribute(root: etree._Element) -> None:
    _header(root)[0].set("lang", "en")


def _too_long(root: etree._Element) -> None:
    _header(root)[0].text = "X" * 36


def _no_currency(root: etree._Element) -> None:
    del _found(root, "IntrBkSttlmAmt").attrib["Ccy"]


def _other_currency(root: etree._Element) -> None:
    _found(root, "IntrBkSttlmAmt").set("Ccy", "USD")


def _two(root: etree._Element) -> None:
    transaction = _found(root, "CdtTrfTxInf")
    transaction.addnext(deepcopy(transaction))
    _found(root, "NbOfTxs").text = "2"


def _status_reason(code: str) -> Callable[[bytes], bytes]:
    def edit(root: etree._Element) -> None:
        report, status = _found(root, "TxInfAndSts"), _found(root, "TxSts")
        for reason in report.findall("{*}StsRsnInf"):
            report.remove(reason)
        namespace = f"{{{etree.QName(status).namespace}}}"
        information = etree.Element(f"{namespace}StsRsnInf")
        etree.SubElement(etree.SubElement(information, f"{namespace}Rsn"), f"{namespace}Cd").text = code
        status.text = "RJCT"
        status.addnext(information)

    return _tree(edit)


def _doctype(document: bytes) -> bytes:
    declaration, _, rest = document.partition(b"?>\n")
    return declaration + b'?>\n<!DOCTYPE Document [<!ENTITY e "e">]>' + rest


def _truncated(document: bytes) -> bytes:
    return document[: len(document) * 2 // 3]


def _not_utf_8(document: bytes) -> bytes:
    return document.replace(b"</CreDtTm>", b"\xe9</CreDtTm>", 1)


def _other_namespace(document: bytes) -> bytes:
    return document.replace(b"tech:xsd:", b"tech:xsd:x:", 1)


_SPOILS: Final = (
    Spoil("missing-element", "schema.missing", _tree(_missing)),
    Spoil("unknown-element", "schema.unexpected", _tree(_unknown)),
    Spoil("wrong-order", "schema.order", _tree(_order)),
    Spoil("repeated-element", "schema.repeated", _tree(_repeated)),
    Spoil("too-long", "schema.value", _tree(_too_long)),
    Spoil("no-such-day", "schema.value", _text_of("CreDtTm", "2025-02-30T12:00:00Z")),
    Spoil("stray-text", "schema.text", _tree(_stray)),
    Spoil("unknown-attribute", "schema.attribute", _tree(_attribute)),
    Spoil("document-type", "document", _doctype),
    Spoil("truncated", "document", _truncated),
    Spoil("not-utf-8", "document", _not_utf_8),
    Spoil("other-namespace", "message", _other_namespace),
    Spoil("two-of-a-choice", "schema.choice", _tree(_choice), PACS_008),
    Spoil("bad-bic", "schema.value", _text_of("BICFI", "zqaadex0"), PACS_008),
    Spoil("no-such-charge-bearer", "schema.value", _text_of("ChrgBr", "NONE"), PACS_008),
    Spoil("no-currency", "schema.missing", _tree(_no_currency), PACS_008),
    Spoil("negative-amount", "schema.value", _text_of("IntrBkSttlmAmt", "-1.00"), PACS_008),
    Spoil("no-such-status", "code-set.ExternalPaymentTransactionStatus1Code", _text_of("TxSts", "ACXX"), PACS_002),
    Spoil("no-such-reason", "code-set.ExternalStatusReason1Code", _status_reason("RRO4"), PACS_002),
    Spoil("no-such-recall", "code-set.ExternalCancellationReason1Code", _text_of("Rsn/{*}Cd", "DUPE"), CAMT_056),
    Spoil(
        "no-such-refusal", "code-set.ExternalPaymentCancellationRejection1Code", _text_of("Rsn/{*}Cd", "NOPE"), CAMT_029
    ),
    Spoil("amount-limit-code", "sct-inst.code", _status_reason("AM02"), PACS_002, "sct-inst"),
    Spoil("long-message-name", "sct-inst.form", _text_of("OrgnlMsgNmId", "pacs.008.001.08"), PACS_002, "sct-inst"),
    Spoil("other-currency", "sct-inst.currency", _tree(_other_currency), PACS_008, "sct-inst"),
    Spoil("third-decimal", "sct-inst.amount", _text_of("IntrBkSttlmAmt", "1.005"), PACS_008, "sct-inst"),
    Spoil("trailing-zero", "sct-inst.form", _text_of("AccptncDtTm", "2025-11-24T12:00:00.120Z"), PACS_008, "sct-inst"),
    Spoil("two-transactions", "sct-inst.transactions", _tree(_two), PACS_008, "sct-inst"),
    Spoil("shared-charges", "sct-inst.code", _text_of("ChrgBr", "SHAR"), PACS_008, "sct-inst"),
    Spoil("over-the-limit", "fps.amount", _text_of("IntrBkSttlmAmt", "1000000.01"), PACS_008, "fps"),
    Spoil("code-for-number", "fps.code", _status_reason("AC04"), PACS_002, "fps"),
)
