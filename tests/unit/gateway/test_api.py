"""What clients see: answers that stay the same, refusals that say why, and nothing that the API's description lacks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from prometheus_client.exposition import generate_latest

from agents.edge.gateway.clients import Client
from agents.edge.gateway.process import OPEN_CLIENT
from agents.edge.gateway.verification import Answer
from agents.edge.projector_store import Changes, Heading, NoticeKind, NoticeRow, PaymentRow, SqliteTables, Status
from agents.edge.workload.http_orders import name_of
from agents.streams import OUTBOUND
from pipeline.observe.logging import JsonLines
from pipeline.stream_logs.memory import MemoryLog
from schemas.events import RecallRequested
from tests.unit.edge.upstream import events_of
from tests.unit.gateway.http_under_test import HttpClient, serving
from tests.unit.gateway.orders_under_test import ANNA, BERT, CARL, GatewayUnderTest, a_body, an_order

PARTICIPANT = "ZQASDEX0"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayUnderTest]:
    under_test = GatewayUnderTest(tmp_path / "gateway")
    yield under_test
    under_test.close()


def served(gateway: GatewayUnderTest, story: Callable[[HttpClient], Awaitable[None]], **options: Any) -> None:
    """Let a client play a story against the gateway."""

    async def play() -> None:
        async with serving(gateway, **options) as client:
            await story(client)

    asyncio.run(play())


def an_xml_order(**replaced: str) -> bytes:
    text = (Path(__file__).parent / "pacs008.xml").read_text("utf-8")
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def test_an_accepted_payment_is_answered_the_same_byte_for_byte(gateway: GatewayUnderTest) -> None:
    async def story(client: HttpClient) -> None:
        first = await client.pay()
        again = await client.pay()

        assert (first.status, first.document["status"]) == (202, "accepted")
        assert first.headers["Location"] == f"/payments/{first.document['payment_id']}"
        assert (again.status, again.body) == (first.status, first.body)
        assert (await client.ask("GET", first.headers["Location"])).document["status"] == "accepted"

    served(gateway, story)


def test_a_pacs_008_is_an_order_and_a_resend_may_have_another_message_id(gateway: GatewayUnderTest) -> None:
    xml = {"Content_Type": "application/xml"}

    async def story(client: HttpClient) -> None:
        first = await client.pay(body=an_xml_order(), **xml)
        resent = await client.pay(body=an_xml_order(MSG1="MSG2"), **xml)
        changed = await client.pay(body=an_xml_order(Bert="Carl"), **xml)

        assert (first.status, resent.body, changed.status) == (202, first.body, 409)

    served(gateway, story)
    (transfer,) = asyncio.run(gateway.submitted())
    assert (transfer.transaction_id, transfer.amount.minor, transfer.reference) == ("TX1", 1250, "Invoice 7")


def test_the_outcome_is_the_answer_if_it_comes_while_the_client_waits(
    gateway: GatewayUnderTest, tmp_path: Path
) -> None:
    tables = SqliteTables(tmp_path / "projector")

    async def story(client: HttpClient) -> None:
        accepted = await client.pay()
        waiting = asyncio.ensure_future(client.pay(Prefer="respond-async, wait=20"))
        await client.ask("GET", accepted.headers["Location"])
        _settle(tables, accepted.document["payment_id"])
        told = await waiting

        assert (told.status, told.document["status"], told.document["cycle"]) == (200, "settled", 3)
        assert told.document["amount"] == {"value": "12.50", "currency": "EUR"}
        assert told.headers["Preference-Applied"] == "wait=20"
        assert (await client.pay()).body == accepted.body

    served(gateway, story, tables=tmp_path / "projector")


def test_a_wait_that_is_over_is_answered_as_without(gateway: GatewayUnderTest) -> None:
    gateway.settings = replace(gateway.settings, outcome_seconds_max=0.01)

    async def story(client: HttpClient) -> None:
        waited = await client.pay(Prefer="wait=20")
        assert (waited.status, waited.body) == (202, (await client.pay()).body)

    served(gateway, story)


def _settle(tables: SqliteTables, payment_id: str, *, cycle: int = 3, ended_us: int | None = None) -> None:
    row = PaymentRow(
        payment_id,
        Status.SETTLED,
        Heading(b"s", payment_id.encode(), ended_us or 1_800_000_000_000_000),
        minor=1250,
        currency="EUR",
        cycle=cycle,
    )
    with tables.batch(Changes(payments=[row])):
        pass


@pytest.mark.parametrize(
    ("headers", "body", "status", "said"),
    [
        ({"Idempotency_Key": "two words"}, a_body(), 400, "Idempotency-Key"),
        ({"Idempotency_Key": ""}, a_body(), 400, "Idempotency-Key is missing"),
        ({"Payee_Verification": ANNA}, a_body(), 400, "Payee-Verification"),
        ({"Content_Type": "text/plain"}, a_body(), 415, "application/json or application/xml"),
        ({"Content_Type": "application/json; charset=latin-1"}, a_body(), 415, "UTF-8"),
        ({"Content_Encoding": "gzip"}, a_body(), 415, "not compressed"),
        ({}, b"", 422, "not JSON"),
        ({}, b"[]", 422, "must be an object"),
        ({}, a_body(amount={"value": "1.5", "currency": "EUR"}), 422, "amount.value"),
        ({}, a_body(amount={"value": "1.50", "currency": "USD"}), 422, "amount.currency"),
        ({}, a_body(debtor=f"{ANNA[:-1]}2"), 422, "debtor.account: is no IBAN"),
        ({}, a_body(end_to_end_id=ANNA), 422, "holds an account number"),
        ({}, a_body(transaction_id=CARL), 422, "holds an account number"),
        ({}, a_body(payee_verification=ANNA), 422, "payee_verification"),
        ({"Content_Type": "application/xml"}, b"<a", 422, "not well-formed"),
        ({"Content_Type": "application/xml"}, an_xml_order(Cdtr="Zdtr"), 422, "is not known in"),
        ({"Content_Type": "application/xml"}, an_xml_order(SLEV="DEBT"), 422, "is 'DEBT', not SLEV"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_without_an_account_number(
    gateway: GatewayUnderTest, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    async def story(client: HttpClient) -> None:
        told = await client.pay(body=body, **headers)

        assert told.status == status
        assert said in told.document["detail"]
        assert ANNA not in told.body.decode()

    served(gateway, story)
    assert asyncio.run(gateway.submitted()) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"debtor": f"{ANNA[:-1]}2"}, "AC01"),
        ({"creditor": f"{BERT[:-1]}2"}, "AC01"),
        ({"amount": {"value": "0.00", "currency": "EUR"}}, "FF01"),
        ({"amount": {"value": "1000000.01", "currency": "GBP"}}, "1172"),
        ({"amount": {"value": "1.00", "currency": "GBP"}, "reference": "x" * 19}, "1930"),
        ({"amount": {"value": "1.00", "currency": "GBP"}, "debtor": f"{ANNA[:-1]}2"}, "1114"),
    ],
)
def test_a_refusal_has_the_schemes_own_reason(gateway: GatewayUnderTest, changes: dict[str, Any], reason: str) -> None:
    async def story(client: HttpClient) -> None:
        told = await client.pay(body=a_body(**changes))
        assert (told.status, told.document["reason"]) == (422, reason)

    served(gateway, story)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_is_read_up_to_its_limit_and_no_further(gateway: GatewayUnderTest, chunked: bool) -> None:
    gateway.settings = replace(gateway.settings, body_bytes_max=1_000)
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(10_000):
            sent += 1_000
            yield b" " * 1_000

    async def story(client: HttpClient) -> None:
        told = await client.pay(body=chunks() if chunked else a_body(reference="x" * 1_000))
        assert told.status == 413
        assert (await client.pay()).status == 202

    served(gateway, story)
    assert sent < 10_000_000


def test_a_head_without_an_end_ends_its_connection(gateway: GatewayUnderTest) -> None:
    async def story(client: HttpClient) -> None:
        reader, writer = await asyncio.open_connection("localhost", int(client.url.rpartition(":")[2]))
        writer.write(b"GET /payments/x HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 500) for n in range(50)))
        assert await reader.read() == b""
        writer.close()
        assert (await client.pay()).status == 202

    served(gateway, story)


def test_a_client_above_its_rate_is_told_when_to_come_again(gateway: GatewayUnderTest) -> None:
    slow = replace(OPEN_CLIENT, requests_per_second=0.25)

    async def story(client: HttpClient) -> None:
        assert (await client.pay()).status == 202
        told = await client.pay("key-2")
        assert (told.status, told.headers["Retry-After"]) == (429, "4")

    served(gateway, story, clients=slow)
    assert len(asyncio.run(gateway.submitted())) == 1


def test_a_busy_gateway_says_503_and_when_to_come_again(gateway: GatewayUnderTest) -> None:
    gateway.settings = replace(gateway.settings, waiting_max=1)

    async def story(client: HttpClient) -> None:
        told = await asyncio.gather(*(client.pay(f"key-{number}") for number in range(30)))
        busy = [each for each in told if each.status == 503]
        assert len(busy) + sum(each.status == 202 for each in told) == 30
        assert all(each.headers["Retry-After"] == "1" for each in busy)

    served(gateway, story)


def test_a_client_submits_only_for_its_own_banks(gateway: GatewayUnderTest) -> None:
    client_of_one = Client("acme", "hub", frozenset({"COBADEFF"}), 1_000.0)

    async def story(client: HttpClient) -> None:
        told = await client.pay()
        assert (told.status, told.document["reason"]) == (403, "AG01")

    served(gateway, story, clients=client_of_one)


def test_another_tenants_payment_is_not_there(gateway: GatewayUnderTest) -> None:
    payment_id = ""

    async def submit(client: HttpClient) -> None:
        nonlocal payment_id
        payment_id = (await client.pay()).document["payment_id"]

    async def look(client: HttpClient) -> None:
        assert (await client.ask("GET", f"/payments/{payment_id}")).status == 404
        assert (await client.post(f"/payments/{payment_id}/recall", {"reason": "DUPL"})).status == 404

    served(gateway, submit)
    served(gateway, look, clients=replace(OPEN_CLIENT, tenant="other"))


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/payments", 405)])
def test_what_is_not_here_is_a_problem_too(gateway: GatewayUnderTest, method: str, path: str, status: int) -> None:
    async def story(client: HttpClient) -> None:
        assert (await client.ask(method, path)).status == status

    served(gateway, story)


class BrokenDirectory:
    """Has a fault of its own, whose words hold what it was asked."""

    responder = "broken"

    async def ask(self, agent: str, number: str, name: str) -> Answer:
        raise RuntimeError(f"no branch for {number}")


def test_a_failure_of_ours_is_a_problem_that_tells_nothing_more(
    gateway: GatewayUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(client: HttpClient) -> None:
        asked = {"name": "Anna", "agent": PARTICIPANT, "account": {"iban": BERT}}
        told = await client.post("/payee-verifications", asked)
        assert (told.status, told.document["title"]) == (500, "The gateway failed")
        assert BERT not in told.body.decode()

    served(gateway, story, directory=BrokenDirectory())
    (failure,) = [record for record in caplog.records if record.exc_info]
    assert BERT not in JsonLines().format(failure)
    assert "RuntimeError" in JsonLines().format(failure)


def test_the_description_is_openapi(gateway: GatewayUnderTest) -> None:
    async def story(client: HttpClient) -> None:
        validate(client.described)
        operations = [each for path in client.described["paths"].values() for each in path.values()]
        assert len(operations) == 4
        assert client.described["security"] == [{"token": []}, {"certificate": []}]

    served(gateway, story)


# ---------------------------------------------------------------------------------------------- verification of payee


class SilentDirectory:
    """Never answers."""

    responder = "silent"

    async def ask(self, agent: str, number: str, name: str) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize(
    ("name", "agent", "result"),
    [
        (name_of(BERT), PARTICIPANT, "MTCH"),
        (name_of(BERT).upper().replace(" ", ", "), PARTICIPANT, "MTCH"),
        (f"{name_of(BERT)}x", PARTICIPANT, "CMTC"),
        ("Zz Qq", PARTICIPANT, "NMTC"),
        (name_of(BERT), "NOBODYFF", "NOAP"),
    ],
)
def test_a_verification_says_how_a_name_stands_to_the_account(
    gateway: GatewayUnderTest, name: str, agent: str, result: str
) -> None:
    async def story(client: HttpClient) -> None:
        asked = {"name": name, "agent": agent, "account": {"iban": BERT}}
        told = await client.post("/payee-verifications", asked)
        assert (told.status, told.document["result"]) == (201, result)
        assert told.document.get("matched_name") == (name_of(BERT) if result == "CMTC" else None)

    served(gateway, story)


def test_whatever_a_verification_said_the_payment_goes_on_and_names_it(gateway: GatewayUnderTest) -> None:
    async def story(client: HttpClient) -> None:
        asked = {"name": "Nobody At All", "agent": PARTICIPANT, "account": {"iban": BERT}}
        told = (await client.post("/payee-verifications", asked)).document
        accepted = await client.pay(body=a_body(payee_verification=told["verification_id"]))
        unknown = await client.pay("key-2", a_body(payee_verification="vop_000000000000000000000001"))

        assert (accepted.status, unknown.status, told["result"]) == (202, 202, "NMTC")
        payment = (await client.ask("GET", accepted.headers["Location"])).document
        assert payment["payee_verification"] == told
        assert "payee_verification" not in (await client.ask("GET", unknown.headers["Location"])).document

    served(gateway, story)


def test_a_bank_that_does_not_answer_makes_a_verification_not_possible(
    gateway: GatewayUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.edge.gateway.verification.ANSWER_SECONDS_MAX", 0.01)

    async def story(client: HttpClient) -> None:
        asked = {"name": "Anna", "agent": PARTICIPANT, "account": {"iban": BERT}}
        assert (await client.post("/payee-verifications", asked)).document["result"] == "NOAP"

    served(gateway, story, directory=SilentDirectory())


# ------------------------------------------------------------------------------------------------------------ recalls


def test_a_settled_payment_is_recalled_once(gateway: GatewayUnderTest, tmp_path: Path) -> None:
    gateway.log = log = MemoryLog(gateway.clock, "log-1")
    tables = SqliteTables(tmp_path / "projector")

    async def story(client: HttpClient) -> None:
        payment_id = (await client.pay()).document["payment_id"]
        path = f"/payments/{payment_id}/recall"
        early = await client.post(path, {"reason": "DUPL"})
        _settle(tables, payment_id)
        first = await client.post(path, {"reason": "DUPL"})
        again = await client.post(path, {"reason": "DUPL"})
        other = await client.post(path, {"reason": "FRAD"})

        assert (early.status, "accepted" in early.document["detail"]) == (409, True)
        assert (first.status, again.body, other.status) == (202, first.body, 409)
        assert first.document["recall_id"] == payment_id.replace("pay_", "rcl_")[:34]
        assert (await client.ask("GET", f"/payments/{first.document['recall_id']}")).status == 404

    served(gateway, story, tables=tmp_path / "projector")
    (recall,) = events_of(log, OUTBOUND)
    assert isinstance(recall, RecallRequested)
    assert (recall.recipient, recall.instructing_agent, recall.reason) == ("COBADEFF", "DEUTDEFF", "DUPL")


@pytest.mark.parametrize(("back", "status"), [("pay_back", "returned"), ("", "refused")], ids=["pacs.004", "camt.029"])
def test_what_was_answered_to_a_recall_is_told_with_its_payment(
    gateway: GatewayUnderTest, tmp_path: Path, back: str, status: str
) -> None:
    tables = SqliteTables(tmp_path / "projector")

    async def story(client: HttpClient) -> None:
        path = (await client.pay()).headers["Location"]
        payment_id = path.rpartition("/")[2]
        _settle(tables, payment_id)
        assert "recall" not in (await client.ask("GET", path)).document
        requested = (await client.post(f"{path}/recall", {"reason": "FRAD"})).document
        before = (await client.ask("GET", path)).document["recall"]
        heading = Heading(b"links", b"1", 1_800_000_000_000_000)
        answered = NoticeRow(NoticeKind.RECALLED, heading, payment_id, back, "FOCR", submission=False)
        with tables.batch(Changes(notices=[answered])):
            pass
        after = (await client.ask("GET", path)).document["recall"]

        assert (before["recall_id"], before["status"]) == (requested["recall_id"], "requested")
        assert (after["status"], after["reason"], after.get("return_payment_id", "")) == (status, "FOCR", back)

    served(gateway, story, tables=tmp_path / "projector")


@pytest.mark.parametrize(
    ("changes", "settled", "said"),
    [
        ({"amount": {"value": "12.50", "currency": "GBP"}}, {}, "fps has no recall"),
        ({}, {"cycle": -1}, "inside one bank"),
        ({}, {"ended_us": 1_700_000_000_000_000}, "the last day of a recall for DUPL was 2023-11-28"),
    ],
)
def test_what_the_scheme_does_not_recall_is_refused(
    gateway: GatewayUnderTest, tmp_path: Path, changes: dict[str, Any], settled: dict[str, int], said: str
) -> None:
    tables = SqliteTables(tmp_path / "projector")

    async def story(client: HttpClient) -> None:
        payment_id = (await client.pay(body=a_body(**changes))).document["payment_id"]
        _settle(tables, payment_id, **settled)
        told = await client.post(f"/payments/{payment_id}/recall", {"reason": "DUPL"})
        assert (told.status, said in told.document["detail"]) == (422, True)

    served(gateway, story, tables=tmp_path / "projector")


# ------------------------------------------------------------------------------------------------------ account numbers


def test_no_account_number_is_logged_or_measured_whatever_is_sent(
    gateway: GatewayUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def story(client: HttpClient) -> None:
        await client.pay()
        await client.pay(body=a_body(reference="other"))
        await client.pay("key-2", json.dumps(an_order() | {ANNA: 1}).encode())
        await client.pay(ANNA, a_body(uetr=ANNA))
        await client.pay("key-3", a_body(reference=f"from {ANNA} with love"))
        await client.ask("GET", f"/payments/{ANNA}")
        told = await client.pay("key-4", an_xml_order(SLEV=ANNA), Content_Type="application/xml")
        assert ANNA not in told.body.decode()

    served(gateway, story)
    metrics = generate_latest(gateway.metrics.registry).decode()
    assert 'payments_gateway_requests_total{route="/payments",status="202"} 2.0' in metrics
    for text in (metrics, caplog.text, str(asyncio.run(gateway.submitted()))):
        assert ANNA not in text
        assert BERT not in text
