"""Orders for the gateway's tests, and what is behind them: a vault, claims, a log."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agents.edge.gateway.claims import Claim, ClaimStore
from agents.edge.gateway.intake import Intake, Stores
from agents.edge.gateway.json_orders import read_order
from agents.edge.gateway.orders import ClaimIdentity
from agents.edge.gateway.sqlite_claims import SqliteClaims
from agents.edge.gateway.submissions import PaymentSubmission
from agents.edge.reader import event_of
from agents.edge.vault.local import LocalVault
from agents.streams import PAYMENTS
from pipeline.kernel.envelope import decode
from pipeline.observe.metrics import Metrics
from pipeline.ports import Log
from pipeline.settings import GatewaySettings
from pipeline.stream_logs.memory import MemoryLog
from schemas.events import CreditTransfer, PaymentSubmitted
from tests.unit.edge.upstream import create_streams
from tests.virtual_clock import VirtualClock

ANNA, BERT, CARL = "DE02120300000000202051", "DE02500105170137075030", "DE02100500000054540402"
RECEIVED_US = 1_767_225_600_000_000


def an_order(**changes: Any) -> dict[str, Any]:
    """Return an order as JSON has it; ``debtor`` and ``creditor`` are IBANs here."""
    debtor, creditor = changes.pop("debtor", ANNA), changes.pop("creditor", BERT)
    order: dict[str, Any] = {
        "amount": {"value": "12.50", "currency": "EUR"},
        "debtor": {"name": "Anna Schmidt", "account": {"iban": debtor}, "agent": "DEUTDEFF"},
        "creditor": {"name": "Łukasz Żółć", "account": {"iban": creditor}, "agent": "COBADEFF"},
    }
    return order | changes


def a_body(**changes: Any) -> bytes:
    return json.dumps(an_order(**changes)).encode()


def a_submission(
    key: str = "key-1", received_us: int = RECEIVED_US, tenant: str = "hub", **changes: Any
) -> PaymentSubmission:
    order = read_order(a_body(**changes), ClaimIdentity(tenant, key), received_us)
    return PaymentSubmission(order, "alpha", received_us)


def payment_id(key: str) -> str:
    return ClaimIdentity("hub", key).payment_id


class GatewayUnderTest:
    """The stores of one gateway, which a process can leave at any moment for the next."""

    def __init__(self, folder: Path, make_claims: Callable[[Path], ClaimStore] = SqliteClaims) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1)
        self._make_claims = make_claims
        self.clock = VirtualClock()
        self.log: Log = MemoryLog(self.clock, "log-1")
        self.settings = GatewaySettings()
        self.metrics = Metrics()
        self._open()

    async def intake(self) -> Intake:
        """Return an intake that has started."""
        await create_streams(self.log, 2)
        intake = Intake(self.stores, self.log, self.clock, self.settings, self.metrics)
        await intake.start()
        return intake

    def leave(self, make_claims: Callable[[Path], ClaimStore] = SqliteClaims) -> None:
        """End the process, and let the next open what it left."""
        self.close()
        self._thread = ThreadPoolExecutor(1)
        self._make_claims = make_claims
        self._open()

    def close(self) -> None:
        vault, claims, thread = self.stores
        thread.submit(vault.close).result()
        thread.submit(claims.close).result()
        thread.shutdown()

    def _open(self) -> None:
        vault = self._thread.submit(LocalVault, self._folder, bytes(32)).result()
        claims = self._thread.submit(self._make_claims, self._folder).result()
        self.stores = Stores(vault, claims, self._thread)

    async def submitted(self) -> list[CreditTransfer]:
        """Return every transfer on the payments stream."""
        found = []
        for shard in await self.log.shards(PAYMENTS):
            for record in (await self.log.read(PAYMENTS, shard.shard_id, 0, 10_000)).records:
                for user_record in record.user_records:
                    event = event_of(decode(user_record))
                    assert isinstance(event, PaymentSubmitted)
                    found.append(event.transfer)
        return found

    async def claim_of(self, payment_id: str) -> Claim | None:
        (standing,) = await self.stores.ask(self.stores.claims.standing, [payment_id])
        return None if standing is None else standing.claim
