"""What the gateway accepts is in the log once, whenever it dies and however often the client asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.edge.gateway.claims import Claim, Standing
from agents.edge.gateway.intake import Intake
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.gateway.sqlite_claims import SqliteClaims
from agents.edge.gateway.submissions import Submission
from agents.streams import PAYMENTS
from pipeline.ports import Entry, Landed, Refused
from pipeline.stream_logs.memory import MemoryLog
from schemas.events import CreditTransfer
from tests.unit.gateway.orders_under_test import ANNA, BERT, CARL, GatewayUnderTest, a_submission, payment_id
from tests.virtual_clock import VirtualClock


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayUnderTest]:
    under_test = GatewayUnderTest(tmp_path)
    yield under_test
    under_test.close()


@asynccontextmanager
async def running(gateway: GatewayUnderTest) -> Any:
    """Give an intake that runs until the end of the block, and then ends as on SIGTERM."""
    intake = await gateway.intake()
    run = asyncio.ensure_future(intake.run())
    try:
        yield intake
    finally:
        intake.close()
        await run


def submitted_by(gateway: GatewayUnderTest, *submissions: Submission) -> list[Claim | Kind]:
    """Return what becomes of submissions that come at the same time."""

    async def submit() -> list[Claim | Kind]:
        async with running(gateway) as intake:
            return await asyncio.gather(*(_outcome(intake.submit(each)) for each in submissions))

    return asyncio.run(submit())


async def _outcome(work: Awaitable[Claim]) -> Claim | Kind:
    try:
        return await work
    except Problem as problem:
        return problem.kind


def in_the_log(gateway: GatewayUnderTest) -> list[CreditTransfer]:
    return asyncio.run(gateway.submitted())


def test_what_is_accepted_is_in_the_log_with_tokens_for_its_accounts(gateway: GatewayUnderTest) -> None:
    (claim,) = submitted_by(gateway, a_submission())

    assert isinstance(claim, Claim)
    (transfer,) = in_the_log(gateway)
    assert transfer.payment_id == claim.claim_id
    vault = gateway.stores.vault
    tokens = (transfer.debtor.account, transfer.creditor.account)
    assert gateway.stores.thread.submit(vault.numbers, tokens).result() == [ANNA, BERT]
    (remainder,) = gateway.stores.thread.submit(vault.remainders, [claim.claim_id]).result()
    assert "Łukasz Żółć" in str(remainder)


def test_a_retry_at_any_time_is_the_same_payment(gateway: GatewayUnderTest) -> None:
    first = submitted_by(gateway, a_submission())
    later = a_submission(received_us=a_submission().received_us + 3_600_000_000)

    assert submitted_by(gateway, later, later) == [*first, *first]
    gateway.leave()
    assert submitted_by(gateway, later) == first
    assert len(in_the_log(gateway)) == 1


def test_many_at_once_under_one_key_are_one_payment(gateway: GatewayUnderTest) -> None:
    claims = submitted_by(gateway, *[a_submission() for _ in range(50)])

    assert len({claim.claim_id for claim in claims if isinstance(claim, Claim)}) == 1
    assert len(in_the_log(gateway)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"value": "12.51", "currency": "EUR"}},
        {"debtor": CARL},
        {"creditor": CARL},
        {"reference": "another"},
        {"payee_verification": "vop_000000000000000000000001"},
        {"transaction_id": "TX1"},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("at_once", [True, False])
def test_another_body_under_the_same_key_is_a_conflict(
    gateway: GatewayUnderTest, change: dict[str, Any], at_once: bool
) -> None:
    submissions = [a_submission(), a_submission(**change), a_submission()]

    if at_once:
        outcomes = submitted_by(gateway, *submissions)
    else:
        outcomes = [outcome for each in submissions for outcome in submitted_by(gateway, each)]

    assert outcomes[1] is Kind.CONFLICT
    assert outcomes[0] == outcomes[2] != Kind.CONFLICT
    assert len(in_the_log(gateway)) == 1


def test_another_key_or_another_tenant_is_another_payment(gateway: GatewayUnderTest) -> None:
    submitted_by(gateway, a_submission(), a_submission("key-2"), a_submission(tenant="bank"))

    assert len({transfer.payment_id for transfer in in_the_log(gateway)}) == 3


class DyingLog(MemoryLog):
    """Dies when something is put, before or behind storing it."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock, "log-1")
        self.dies: bool | None = None
        """Whether what is put is stored first; None: it lives."""

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        if self.dies is False:
            raise ConnectionAbortedError
        results = await super().put_records(stream, entries)
        if self.dies:
            raise ConnectionAbortedError
        return results


@pytest.mark.parametrize("stored", [True, False])
def test_a_crash_around_the_append_is_repaired_by_the_next_start(gateway: GatewayUnderTest, stored: bool) -> None:
    gateway.log = log = DyingLog(gateway.clock)
    _die_on_submitting(gateway, lambda: setattr(log, "dies", stored))
    assert len(in_the_log(gateway)) == int(stored)
    log.dies = None

    gateway.leave()
    asyncio.run(gateway.intake())

    transfers = in_the_log(gateway)
    assert len(transfers) == 1 + int(stored)
    assert len(set(transfers)) == 1
    (claim,) = submitted_by(gateway, a_submission())
    assert isinstance(claim, Claim)
    assert claim.claim_id == transfers[0].payment_id
    assert in_the_log(gateway) == transfers


class DyingClaims(SqliteClaims):
    """Dies when something is claimed, before it is."""

    def claim(self, wanted: Sequence[Claim], appended: Collection[str]) -> list[Standing]:
        if wanted:
            raise ConnectionAbortedError
        return super().claim(wanted, appended)


def test_a_crash_between_vault_and_claim_leaves_the_retry_the_first(gateway: GatewayUnderTest) -> None:
    gateway.leave(make_claims=DyingClaims)
    _die_on_submitting(gateway, lambda: None)
    gateway.leave()

    later = a_submission(received_us=a_submission().received_us + 1_000_000)
    (claim,) = submitted_by(gateway, later)

    assert isinstance(claim, Claim)
    assert claim.received_us == later.received_us
    assert len(in_the_log(gateway)) == 1


def test_a_crash_between_vault_and_claim_leaves_another_body_a_conflict(gateway: GatewayUnderTest) -> None:
    gateway.leave(make_claims=DyingClaims)
    _die_on_submitting(gateway, lambda: None)
    gateway.leave()

    outcomes = submitted_by(gateway, a_submission(debtor=CARL), a_submission("key-2"))

    assert outcomes[0] is Kind.CONFLICT
    assert [transfer.payment_id for transfer in in_the_log(gateway)] == [payment_id("key-2")]


def _die_on_submitting(gateway: GatewayUnderTest, prepare: Callable[[], None]) -> None:
    async def submit() -> None:
        intake = await gateway.intake()
        prepare()
        run = asyncio.ensure_future(intake.run())
        submitting = asyncio.ensure_future(intake.submit(a_submission()))
        with pytest.raises(ConnectionAbortedError):
            await run
        submitting.cancel()
        with suppress(asyncio.CancelledError):
            await submitting

    asyncio.run(submit())


class GatedLog(MemoryLog):
    """Stores nothing before its gate is opened."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock, "log-1")
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        self.asked.set()
        await self.gate.wait()
        return await super().put_records(stream, entries)


def test_a_slow_log_has_new_payments_refused_and_claimed_ones_answered(gateway: GatewayUnderTest) -> None:
    gateway.settings = replace(gateway.settings, waiting_seconds_max=0.05)

    async def submit() -> None:
        gateway.log = log = GatedLog(gateway.clock)
        async with running(gateway) as intake:
            in_hand = asyncio.ensure_future(intake.submit(a_submission("in-hand")))
            await log.asked.wait()
            waited_in_vain = await _outcome(intake.submit(a_submission("waits")))
            gateway.clock.move(1_000_000)
            turned_away = await _outcome(intake.submit(a_submission("late")))
            again = asyncio.ensure_future(intake.submit(a_submission("in-hand")))
            await asyncio.wait((again,), timeout=2 * gateway.settings.waiting_seconds_max)
            assert not in_hand.done()
            assert not again.done()
            log.gate.set()
            assert await in_hand == await again
            assert in_hand.result().claim_id == payment_id("in-hand")
        assert (waited_in_vain, turned_away) == (Kind.BUSY, Kind.BUSY)
        for key in ("waits", "late"):
            assert await gateway.claim_of(payment_id(key)) is None
        assert len(await gateway.submitted()) == 1

    asyncio.run(submit())


def test_more_than_may_wait_are_refused_and_none_of_them_is_claimed(gateway: GatewayUnderTest) -> None:
    gateway.settings = replace(gateway.settings, waiting_max=3)

    outcomes = submitted_by(gateway, *[a_submission(f"key-{number}") for number in range(5)])

    assert [isinstance(outcome, Claim) for outcome in outcomes] == [True] * 3 + [False] * 2
    assert outcomes[3:] == [Kind.BUSY] * 2
    assert len(in_the_log(gateway)) == 3


def test_a_refusal_for_being_busy_says_when_to_come_again(gateway: GatewayUnderTest) -> None:
    gateway.settings = replace(gateway.settings, waiting_max=1, retry_after_seconds=7)

    async def submit(intake: Intake) -> None:
        first = asyncio.ensure_future(intake.submit(a_submission("key-1")))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await intake.submit(a_submission("key-2"))
        await first
        assert refused.value.headers["Retry-After"] == "7"

    async def run() -> None:
        async with running(gateway) as intake:
            await submit(intake)

    asyncio.run(run())


def test_a_batch_is_no_larger_than_it_may_be(gateway: GatewayUnderTest) -> None:
    gateway.settings = replace(gateway.settings, batch_max=4)

    submitted_by(gateway, *[a_submission(f"key-{number}") for number in range(10)])

    assert len(in_the_log(gateway)) == 10
    counts = {
        sample.name: sample.value
        for family in gateway.metrics.registry.collect()
        for sample in family.samples
        if family.name == "payments_gateway_batch_payments"
    }
    assert counts["payments_gateway_batch_payments_count"] == 3


class ClockWithCompany(VirtualClock):
    """While somebody sleeps on it for the first time, somebody else does something."""

    def __init__(self) -> None:
        super().__init__()
        self.company: Callable[[], None] | None = None

    async def sleep(self, seconds: float) -> None:
        company, self.company = self.company, None
        if company is not None:
            company()
        await super().sleep(seconds)


def test_who_comes_a_moment_later_is_in_the_same_batch(gateway: GatewayUnderTest) -> None:
    gateway.clock = clock = ClockWithCompany()

    async def story() -> list[int]:
        async with running(gateway) as intake:
            later: list[asyncio.Future[Claim]] = []
            clock.company = lambda: later.append(asyncio.ensure_future(intake.submit(a_submission("key-2"))))
            await intake.submit(a_submission("key-1"))
            await later[0]
        shards = [shard.shard_id for shard in await gateway.log.shards(PAYMENTS)]
        read = [(await gateway.log.read(PAYMENTS, shard, 0, 10)).records for shard in shards]
        return [len(record.user_records) for records in read for record in records]

    assert asyncio.run(story()) == [2]
