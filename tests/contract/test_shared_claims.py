"""Two gateways that share their claims in DynamoDB are one to their clients."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from agents.edge.gateway.claims import Claim
from agents.edge.gateway.dynamo_claims import DynamoClaims
from agents.edge.gateway.problems import Problem
from tests.aws_under_test import client
from tests.unit.gateway.orders_under_test import CARL, GatewayUnderTest, a_submission


@pytest.fixture
def gateways(tmp_path: Path, aws: str) -> list[GatewayUnderTest]:
    dynamodb, table = client("dynamodb", aws), f"gateway-{uuid4()}"
    DynamoClaims(dynamodb, table).create()
    first, second = (GatewayUnderTest(tmp_path / name, lambda _: DynamoClaims(dynamodb, table)) for name in "ab")
    second.log = first.log
    return [first, second]


def test_a_key_is_claimed_once_whichever_gateway_is_asked(gateways: list[GatewayUnderTest]) -> None:
    async def submit() -> list[Claim | BaseException]:
        intakes = [await gateway.intake() for gateway in gateways]
        running = [asyncio.ensure_future(intake.run()) for intake in intakes]
        bodies = [a_submission(), a_submission(debtor=CARL), a_submission()]
        told = await asyncio.gather(
            *(intake.submit(body) for body in bodies for intake in intakes), return_exceptions=True
        )
        for intake in intakes:
            intake.close()
        await asyncio.gather(*running)
        return told

    told = asyncio.run(submit())

    accepted = [each for each in told if isinstance(each, Claim)]
    assert len({claim.record for claim in accepted}) == 1
    assert (len(accepted), sum(isinstance(each, Problem) for each in told)) == (4, 2)
    transfers = asyncio.run(gateways[0].submitted())
    assert len(set(transfers)) == 1
