"""Messages over real sockets: what is taken, what is refused and why, and what a failure means to who posts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest

from agents.edge.link_messages.terms import Reply, Transaction
from agents.edge.link_messages.writing import write_reply
from agents.edge.wire.http_wire import HttpWire
from agents.edge.wire.inbox import BODY_BYTES_MAX, Inbox
from agents.edge.wire.port import OverloadedError, Refusal, UnreachableError
from schemas.iso20022.messages import Message
from tests.builders import BANK_A, BANK_B
from tests.unit.edge.upstream import now

SECONDS_MAX = 10.0
HOST = "127.0.0.1"


def a_reply(number: int) -> bytes:
    return write_reply(Reply(Transaction(BANK_A, f"tx-{number}", BANK_B), accepted=True, reason="", original="id"), 1)


class Taker:
    """Who is behind the inbox."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.refuses: list[Refusal] = []
        self.is_overloaded = False
        self.is_stuck = False

    async def take(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        if self.is_overloaded:
            raise OverloadedError
        if self.is_stuck:
            await asyncio.sleep(2 * SECONDS_MAX)
        self.taken += messages
        return self.refuses


class Side:
    """An inbox with a taker, and a wire to it."""

    def __init__(self, inbox: Inbox, taker: Taker, wire: HttpWire, port: int) -> None:
        self.inbox, self.taker, self.wire = inbox, taker, wire
        self.address = f"http://{HOST}:{port}/messages"

    async def post(self, *documents: bytes) -> Sequence[Refusal]:
        return await self.wire.post(self.address, documents, SECONDS_MAX)

    async def status_of(self, body: bytes) -> int:
        async with aiohttp.ClientSession() as session, session.post(self.address, data=body) as response:
            return response.status


@asynccontextmanager
async def a_side() -> AsyncIterator[Side]:
    taker, wire = Taker(), HttpWire()
    inbox = Inbox(taker.take)
    try:
        yield Side(inbox, taker, wire, await inbox.open(HOST, 0))
    finally:
        await wire.close()
        await inbox.close()


def test_several_messages_of_one_post_arrive_in_order() -> None:
    async def scene() -> None:
        async with a_side() as side:
            assert await side.post(*map(a_reply, range(3))) == ()

            assert [str(message.content).count(f"tx-{n}") for n, message in enumerate(side.taker.taken)] == [1, 1, 1]
            assert side.inbox.taken == {"pacs.002.001.10": 3}

    now(scene())


def test_an_invalid_message_is_refused_with_its_place_and_the_others_are_taken() -> None:
    async def scene() -> None:
        async with a_side() as side:
            (refusal,) = await side.post(a_reply(1), a_reply(2).replace(b"ACCP", b"ACC0"), a_reply(3))

            assert (refusal.number, refusal.rule) == (1, "code-set.ExternalPaymentTransactionStatus1Code")
            assert refusal.path.endswith("/TxInfAndSts/TxSts")
            assert len(side.taker.taken) == 2
            assert side.inbox.refused == {refusal.rule: 1}

    now(scene())


def test_what_the_taker_refuses_is_numbered_as_it_was_posted() -> None:
    async def scene() -> None:
        async with a_side() as side:
            side.taker.refuses = [Refusal(1, "", "transaction", "never sent")]

            refusals = await side.post(a_reply(1).replace(b"ACCP", b"ACC0"), a_reply(2), a_reply(3))

            assert [refusal.number for refusal in refusals] == [0, 2]

    now(scene())


@pytest.mark.parametrize("body", [b"", b"<Document", b"\xff\xfe\x00", b"<a/>", b"{}"])
def test_what_is_no_message_is_refused_and_counted(body: bytes) -> None:
    async def scene() -> None:
        async with a_side() as side:
            assert await side.status_of(body) == 400

            assert side.inbox.refused == {"document": 1}

    now(scene())


def test_what_is_too_large_is_refused_and_counted() -> None:
    async def scene() -> None:
        async with a_side() as side:
            assert await side.status_of(b" " * (BODY_BYTES_MAX + 1)) == 413

            assert side.inbox.refused == {"size": 1}
            assert side.taker.taken == []

    now(scene())


def test_the_health_page_tells_what_was_taken_and_refused() -> None:
    async def scene() -> None:
        async with a_side() as side:
            await side.post(a_reply(1))
            await side.status_of(b"")
            async with (
                aiohttp.ClientSession() as session,
                session.get(side.address.replace("messages", "health")) as page,
            ):
                assert await page.json() == {"taken": {"pacs.002.001.10": 1}, "refused": {"document": 1}}

    now(scene())


def test_nobody_knows_what_became_of_a_post_that_an_overloaded_side_did_not_take() -> None:
    async def scene() -> None:
        async with a_side() as side:
            side.taker.is_overloaded = True
            with pytest.raises(UnreachableError, match="503"):
                await side.post(a_reply(1))

            assert side.inbox.refused == {"overload": 1}

    now(scene())


def test_nobody_knows_what_became_of_a_post_without_an_answer() -> None:
    async def scene() -> None:
        async with a_side() as side:
            side.taker.is_stuck = True
            with pytest.raises(UnreachableError, match="TimeoutError"):
                await side.wire.post(side.address, [a_reply(1)], 0.1)

    now(scene())


def test_where_nobody_listens_nothing_arrives() -> None:
    async def scene() -> None:
        async with a_side() as side:
            await side.inbox.close()
            with pytest.raises(UnreachableError):
                await side.post(a_reply(1))

    now(scene())
