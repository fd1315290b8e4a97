"""Clients submit through a gateway that is killed again and again: each of their payments is carried out once."""

from __future__ import annotations

import asyncio
import json
import signal
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from agents.edge.simulated_clients import ANSWERS
from agents.edge.workload.http_orders import number_of
from agents.edge.workload.population import participants
from agents.edge.workload.sequence import Workload
from bench.gateway import measure
from demo.fleet import Member
from demo.run import Plan
from schemas.events import Party
from tests.e2e.audit import Audit, audit
from tests.e2e.runs import EVERYBODY_ANSWERS, DemoUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KILLS = 12
SECONDS_BETWEEN_KILLS = (0.3, 1.0)
RECALLS = 3
DEBTOR_AGENT, CREDITOR_AGENT = (participant.listing.bic for participant in participants()[20:22])
LOOK_SECONDS = 0.1
ACCEPTED = 202
VAULT = "vault.sqlite"


def test_each_key_is_one_payment_however_often_the_gateway_is_killed(tmp_path: Path) -> None:
    demo = DemoUnderTest(Plan(tmp_path, 15.0, 100.0, shards=2, seed=5, gateway=True))

    report = demo.run(kill_the_gateway(demo, Random(5)))

    assert report.restarts == {"gateway": KILLS}
    assert (report.accounted, report.conserved, report.replay_equal) == (True, True, True)
    assert report.clients is not None
    assert report.clients["contradictions"] == 0
    assert_accepted_is_what_the_log_holds(tmp_path, audit(demo.plan.log_folder))
    assert_no_number_outside_the_vault(demo.plan)


def test_a_recalled_payment_comes_back_or_its_bank_says_why_not(tmp_path: Path) -> None:
    demo = DemoUnderTest(Plan(tmp_path, 3.0, 20.0, shards=2, seed=EVERYBODY_ANSWERS, gateway=True))
    told: list[dict[str, Any]] = []

    report = demo.run(recall_payments(demo, told))

    assert (report.accounted, report.conserved, report.replay_equal) == (True, True, True)
    assert len(told) == RECALLS
    found = audit(demo.plan.log_folder)
    for recall in told:
        assert recall["status"] in {"returned", "refused"}
        assert recall["reason"]
        assert (recall["status"] == "returned") == ("return_payment_id" in recall)
    returned = [recall["return_payment_id"] for recall in told if recall["status"] == "returned"]
    assert found.never_submitted(returned) == []
    assert found.settled_twice() == []


def test_a_gateway_by_itself_is_measured_and_reconciled_with_its_log(tmp_path: Path) -> None:
    figures = measure(tmp_path, Namespace(tps=100.0, count=200))

    assert (figures["reconciled"], figures["put_again"]) == (True, 0)


async def recall_payments(demo: DemoUnderTest, told: list[dict[str, Any]]) -> None:
    """Submit payments of our own to the running gateway, recall what settles, and note what was answered.

    The clients stand still meanwhile: the run does not end before they have.
    """
    clients = demo.fleet.member("clients")
    await demo.until(lambda: clients.process is not None)
    _signal(clients, signal.SIGSTOP)
    arguments = demo.fleet.member("gateway").arguments
    url = f"http://{arguments[arguments.index('--listen') + 1]}"
    async with aiohttp.ClientSession(url) as session:
        for number in range(RECALLS):
            payment = await _settled(session, f"recalled-{number}")
            async with session.post(payment["links"]["recall"], json={"reason": "DUPL"}) as response:
                assert response.status == ACCEPTED
            recall = {"status": "requested"}
            while recall["status"] == "requested":
                await asyncio.sleep(LOOK_SECONDS)
                async with session.get(payment["links"]["self"]) as response:
                    recall = (await response.json())["recall"]
            told.append(recall)
    _signal(clients, signal.SIGCONT)


def _signal(member: Member, number: int) -> None:
    assert member.process is not None
    member.process.send_signal(number)


async def _settled(session: aiohttp.ClientSession, key: str) -> dict[str, Any]:
    """Return a payment that has settled: another one, if a bank rejects the first."""
    for number in range(20):
        parties = {
            side: {"name": "Anna", "agent": agent, "account": {"iban": number_of(Party(f"{key}-{side}", agent))}}
            for side, agent in (("debtor", DEBTOR_AGENT), ("creditor", CREDITOR_AGENT))
        }
        order = {"amount": {"value": f"{10 + number}.00", "currency": "EUR"}, **parties}
        headers = {"Idempotency-Key": f"{key}-{number}", "Prefer": "wait=20"}
        async with session.post("/payments", json=order, headers=headers) as response:
            payment: dict[str, Any] = await response.json()
        if payment["status"] == "settled":
            return payment
    raise AssertionError("twenty payments in a row did not settle")


async def kill_the_gateway(demo: DemoUnderTest, draws: Random) -> None:
    """Kill the gateway while clients submit, and let it live long enough to be started again."""
    gateway, clients = demo.fleet.member("gateway"), demo.fleet.member("clients")
    await demo.until(lambda: clients.process is not None)
    while gateway.restarts < KILLS and not clients.done:
        await asyncio.sleep(draws.uniform(*SECONDS_BETWEEN_KILLS))
        restarts = gateway.restarts
        gateway.kill()
        await demo.until(lambda restarts=restarts: gateway.restarts > restarts)  # type: ignore[misc]


def assert_accepted_is_what_the_log_holds(folder: Path, found: Audit) -> None:
    """Assert that a key has one payment id, and that exactly the accepted payments are in the log and ended once."""
    answers = [json.loads(line) for line in (folder / "clients" / ANSWERS).read_text("utf-8").splitlines()]
    accepted = {answer["key"]: answer["payment_id"] for answer in answers if answer["status"] == ACCEPTED}
    assert len(accepted) > 1_000
    assert all(answer["payment_id"] == accepted.get(answer["key"], "") for answer in answers)
    assert len(set(accepted.values())) == len(accepted)
    assert found.submitted.keys() == set(accepted.values())
    assert found.parked == []
    assert found.settled_twice() == []
    assert found.not_ended_once() == {}


def assert_no_number_outside_the_vault(plan: Plan) -> None:
    """Assert that no file of the run but the vault holds any account number that was in a request."""
    submissions = map(Workload(plan.seed).at, range(plan.count))
    numbers = {number_of(party).encode() for each in submissions for party in (each.order.debtor, each.order.creditor)}
    assert any(number in file.read_bytes() for file in plan.folder.rglob(f"{VAULT}*") for number in numbers)
    for file in _files(plan.folder):
        content = file.read_bytes()
        held = [number for number in numbers if number in content]
        assert held == [], f"{file} holds account numbers"


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(VAULT))
