"""Messages are found in whatever banks put around them, and what is hostile ends in one line."""

from __future__ import annotations

import pytest

from schemas.iso20022.document import DOCUMENT_BYTES_MAX, TAGS_MAX, parse
from schemas.iso20022.errors import UnreadableDocumentError
from schemas.iso20022.message_name import PACS_002, PACS_008, MessageName
from schemas.iso20022.messages import MESSAGES_MAX, read_messages
from schemas.iso20022.walk import Content
from schemas.iso20022.writing import write_message
from tests.unit.iso20022.any_message import AnyMessage

HEADER = (
    '<h:AppHdr xmlns:h="urn:iso:std:iso:20022:tech:xsd:head.001.001.02"><h:Fr/><h:To/><h:BizMsgIdr>1</h:BizMsgIdr>'
    "<h:MsgDefIdr> {} </h:MsgDefIdr></h:AppHdr>"
)
STATUS = AnyMessage(PACS_002, 1, 0.2).content()
BARE = write_message(PACS_002, STATUS).split(b"?>", 1)[1].strip().decode()
INNER = BARE.removeprefix("<Document ").removesuffix("</Document>").replace("><FIToFIPmtStsRpt", "", 1)
INNER = f"<FIToFIPmtStsRpt {INNER}"
PREFIXED = INNER.replace("xmlns=", "xmlns:ps=").replace("<", "<ps:").replace("<ps:/", "</ps:")
SAA = '<Saa:DataPDU xmlns:Saa="urn:swift:saa:xsd:saa.2.0"><Saa:Header/>'


def refusal(document: bytes) -> str:
    with pytest.raises(UnreadableDocumentError) as refused:
        read_messages(document)
    return str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        BARE,
        f"<!-- a -->{BARE}<!-- z -->",
        f"<?xml version='1.0'?>\n<?xml-stylesheet href='x'?>\n{BARE}\n",
        f"<Envelope>{HEADER.format(PACS_002)}{BARE}</Envelope>",
        f"{HEADER.format(PACS_002)}{BARE}",
        f"{SAA}<Saa:Body>{HEADER.format(PACS_002)}{BARE}</Saa:Body></Saa:DataPDU>",
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><In>{BARE}</In></s:Body></s:Envelope>',
        f"<In><Payload><![CDATA[<?xml version='1.0' encoding='utf-8'?>{BARE}]]></Payload></In>",
        f'<Message xmlns="urn:tch"><AppHdr/><MessageStatusReport>{PREFIXED}</MessageStatusReport></Message>',
        f"<In><Body>{INNER}</Body></In>",
        f'<f:File xmlns:f="urn:f"><f:Sender>X</f:Sender>{INNER}</f:File>',
        BARE.replace("<Document ", '<Document xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                     f'xsi:schemaLocation="{PACS_002.namespace} pacs.002.xsd" '),
        BARE.replace("xmlns=", "xmlns:p=").replace("<", "<p:").replace("<p:/", "</p:"),
    ],
    ids=lambda document: document[:20],
)  # fmt: skip
def test_a_message_is_found_whatever_is_around_it(document: str) -> None:
    (message,) = read_messages(document.encode())

    assert (message.name, message.faults) == (PACS_002, ())
    assert message.content["FIToFIPmtStsRpt"] == STATUS["FIToFIPmtStsRpt"]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("iso-8859-1", "ISO-8859-1"),
        ("iso-8859-15", "iso-8859-15"),
        ("cp1252", "windows-1252"),
    ],
)
def test_a_message_is_read_in_the_encoding_that_it_names(encoding: str, declared: str) -> None:
    content: Content = {"FIToFIPmtStsRpt": {"GrpHdr": {"MsgId": "Zürich-é", "CreDtTm": "2025-10-05T03:30:00Z"}}}
    text = write_message(PACS_002, content).split(b"?>", 1)[1].decode()
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""

    (message,) = read_messages((declaration + text).encode(encoding))

    assert (message.content, message.faults) == (content, ())


def test_all_messages_of_a_document_are_read() -> None:
    other = write_message(PACS_008, AnyMessage(PACS_008, 1, 0.0).content()).split(b"?>", 1)[1].decode()
    document = f"<All>{HEADER.format(PACS_002)}{BARE}<More>{HEADER.format(PACS_008)}{other}</More></All>"

    assert [(message.name, message.faults) for message in read_messages(document.encode())] == [
        (PACS_002, ()),
        (PACS_008, ()),
    ]


def test_a_misspelt_document_is_no_envelope() -> None:
    assert refusal(f"<Dokument>{INNER}</Dokument>".encode()).startswith("holds no message")
    assert refusal(BARE.replace("Document", "Dokument").encode()).startswith("holds no message")


def test_a_header_that_names_another_message_is_a_fault() -> None:
    (message,) = read_messages(f"<E>{HEADER.format(PACS_008)}{BARE}</E>".encode())

    assert [(fault.path, fault.rule) for fault in message.faults] == [("/E/Document", "header")]


def test_a_message_of_another_version_is_named_and_read_by_its_own_structure() -> None:
    name = MessageName("pacs.002", "001", "12")
    content = AnyMessage(name, 3).content()

    (message,) = read_messages(write_message(name, content))

    assert (message.name, message.faults, message.content) == (name, (), content)


@pytest.mark.parametrize(
    ("namespace", "named"),
    [
        ("urn:iso:std:iso:20022:tech:xsd:pacs.002.001.99", "no structure of pacs.002.001.99 is known"),
        ("urn:iso:std:iso:20022:tech:xsd:seev.031.001.07", "is seev.031.001.07, which is not read here"),
        ("urn:other:pacs.002.001.10", "is in no namespace of ISO 20022"),
        ("", "is in no namespace of ISO 20022"),
    ],
)
def test_a_message_whose_structure_is_not_known_is_named(namespace: str, named: str) -> None:
    (message,) = read_messages(BARE.replace(PACS_002.namespace, namespace).encode())

    assert [(fault.rule, named in fault.message) for fault in message.faults] == [("message", True)]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{}", "is not XML"),
        (b"\x7fELF\x02\x01\x01", "is not XML"),
        (b"\x89PNG\r\n\x1a\n", "is not in utf-8"),
        (BARE[:-20].encode(), "is not well-formed XML: line 1"),
        (f"{BARE}{BARE}".encode(), "is not well-formed XML: line 1"),
        ((LAUGHS + BARE.replace("<MsgId>", "<MsgId>&b;")).encode(), "has a document type"),
        (f"<!-- <!DOCTYPE --><?x ?>{LAUGHS}{BARE}".encode(), "has a document type"),
        (f"<?xml version='1.0' encoding='UTF-16'?>{LAUGHS}{BARE}".encode("utf-16"), "has a document type"),
        (f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{BARE}'.encode(), "has a document type"),
        (BARE.replace("<MsgId>", "<MsgId>&file;").encode(), "is not well-formed XML: line 1"),
        (BARE.replace("<MsgId>", "<MsgId>\xe9").encode("latin-1"), "is not in utf-8"),
        (f"<?xml version='1.0' encoding='utf-16'?>{BARE}".encode(), "is not in utf-16|is not XML"),
        (f"<?xml version='1.0' encoding='rot13'?>{BARE}".encode(), "is in an encoding that is not read: rot13"),
        (BARE.encode("utf-32"), "is in UTF-32"),
        (b"<a>" * 5_000 + b"</a>" * 5_000, "is not well-formed XML: line 1"),
        (b"<a>" + b"<b/>" * TAGS_MAX + b"</a>", f"has more than {TAGS_MAX} tags"),
        (b" " * (DOCUMENT_BYTES_MAX + 1), f"has more than {DOCUMENT_BYTES_MAX} bytes"),
        (b"<?" + b"<?a?>" * 100_000, "is not XML"),
        (b"<?x?>" * 100_000, "is not XML"),
        (b"<html><body/></html>", "holds no message of ISO 20022"),
        (b"<a>\x00</a>", "is not well-formed XML: line 1"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_in_one_line(document: bytes, reason: str) -> None:
    said = refusal(document)

    assert any(said.startswith(words) for words in reason.split("|")), said
    assert "\n" not in said
    assert len(said) < 250


def test_nothing_is_fetched_and_nothing_expands() -> None:
    root = parse(BARE.replace("<MsgId>", "<MsgId>&#65;&amp;").encode())

    assert root.findtext(".//{*}MsgId", "").startswith("A&")
    assert root.getroottree().docinfo.internalDTD is None


def test_faults_are_told_up_to_a_hundred() -> None:
    (message,) = read_messages(BARE.replace("</GrpHdr>", "<X/>" * 50_000 + "</GrpHdr>").encode())

    assert len(message.faults) == 101
    assert message.faults[-1].rule == "document"


def test_a_long_name_is_told_by_its_beginning() -> None:
    (message,) = read_messages(BARE.replace("<GrpHdr>", f"<GrpHdr><{'X' * 9_000}/>").encode())

    assert [fault.path for fault in message.faults] == [f"/Document/FIToFIPmtStsRpt/GrpHdr/{'X' * 64}"]


def test_of_many_texts_that_look_like_documents_a_hundred_are_read() -> None:
    texts = "<In>&lt;a/></In>" * 100 + f"<In><![CDATA[{BARE}]]></In>"

    assert refusal(f"<All>{texts}</All>".encode()).startswith("holds no message")
    assert len(read_messages(f"<All>{texts.replace('<In>&lt;a/></In>', '', 1)}</All>".encode())) == 1


def test_messages_within_messages_cost_what_they_weigh() -> None:
    depth, inner = 40, BARE
    for _ in range(depth):
        inner = BARE.replace(
            "</FIToFIPmtStsRpt>", f"<SplmtryData><Envlp>{inner}</Envlp></SplmtryData></FIToFIPmtStsRpt>"
        )

    (message,) = read_messages(inner.encode())

    assert message.faults == ()


def test_a_message_among_others_is_named_by_its_place() -> None:
    document = f"<All><One>{BARE}</One><Two>{BARE}{BARE}</Two></All>".encode()

    assert [message.path for message in read_messages(document)] == [
        "/All/One/Document",
        "/All/Two/Document[1]",
        "/All/Two/Document[2]",
    ]


def test_a_document_holds_a_thousand_messages_at_most() -> None:
    empty = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10"/>'

    assert len(read_messages(f"<All>{empty * MESSAGES_MAX}</All>".encode())) == MESSAGES_MAX
    assert "more than 1000 messages" in refusal(f"<All>{empty * (MESSAGES_MAX + 1)}</All>".encode())
