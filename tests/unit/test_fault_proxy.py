"""The fault proxy does what it says to a request, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from demo.stack.fault_proxy import HTTP_2_PREFACE, FaultProxy, Rates

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nput"


class Upstream:
    """A server that counts what it was asked, and answers the same."""

    def __init__(self, answer: bytes, *, closes: bool = False) -> None:
        self._answer = answer
        self._closes = closes
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(1 << 16):
            self.asked.append(request)
            writer.write(self._answer)
            if self._closes:
                break
        writer.close()


@asynccontextmanager
async def through(
    rates: Rates, upstream: Upstream
) -> AsyncIterator[tuple[FaultProxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    proxy = FaultProxy(server.sockets[0].getsockname()[1], rates, seed=1)
    front = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", front.sockets[0].getsockname()[1])
    try:
        yield proxy, reader, writer
    finally:
        writer.close()
        front.close()
        server.close()


async def asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> bytes:
    writer.write(REQUEST)
    return await reader.readexactly(len(answer))


def running(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


@pytest.mark.parametrize("answer", [ANSWER, CHUNKED])
def test_without_a_fault_an_answer_comes_as_it_is_and_the_connection_stays(answer: bytes) -> None:
    async def test() -> None:
        upstream = Upstream(answer)
        async with through(Rates(), upstream) as (proxy, reader, writer):
            assert [await asks(reader, writer, answer) for _ in range(3)] == [answer] * 3
            assert proxy.happened == {"requests": 3}
        assert upstream.asked == [REQUEST] * 3

    running(test)


def test_who_keeps_a_connection_is_answered_although_the_emulator_closes_its_own() -> None:
    async def test() -> None:
        async with through(Rates(), Upstream(ANSWER, closes=True)) as (proxy, reader, writer):
            assert [await asks(reader, writer, ANSWER) for _ in range(3)] == [ANSWER] * 3
            assert proxy.happened == {"requests": 3}

    running(test)


def test_a_dropped_request_is_done_and_never_answered() -> None:
    async def test() -> None:
        upstream = Upstream(ANSWER)
        async with through(Rates(dropped=1.0), upstream) as (proxy, reader, writer):
            writer.write(REQUEST)
            assert await reader.read() == b""
            assert proxy.happened["dropped"] == 1
        assert upstream.asked == [REQUEST]

    running(test)


def test_a_refused_request_is_not_done_and_is_answered_in_one_of_two_ways() -> None:
    async def test() -> None:
        upstream = Upstream(ANSWER)
        async with through(Rates(refused=1.0), upstream) as (_, reader, writer):
            answers = []
            for _ in range(2):
                writer.write(REQUEST)
                answers.append(await reader.readuntil(b"}"))
        assert upstream.asked == []
        assert b" 400 " in answers[0]
        assert b"ProvisionedThroughputExceededException" in answers[0]
        assert b" 500 " in answers[1]

    running(test)


def test_half_of_a_put_is_stored_and_the_rest_is_answered_as_throttled() -> None:
    stored = {"ShardId": "shardId-000000000000", "SequenceNumber": "7"}
    told = json.dumps({"FailedRecordCount": 0, "Records": [stored, stored]}).encode()
    upstream = Upstream(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)

    async def test() -> None:
        async with through(Rates(partial=1.0), upstream) as (_, reader, writer):
            entries = [{"Data": str(number)} for number in range(3)]
            writer.write(a_request("PutRecords", {"StreamName": "payments", "Records": entries}))
            answer = await an_answer(reader)
            writer.write(a_request("PutRecords", {"StreamName": "payments", "Records": entries[:1]}))
            of_one = await an_answer(reader)
        asked = json.loads(upstream.asked[0].partition(b"\r\n\r\n")[2])
        assert asked == {"StreamName": "payments", "Records": [entries[0], entries[2]]}
        assert answer["FailedRecordCount"] == 1
        assert [result.get("ErrorCode") for result in answer["Records"]] == [
            None,
            "ProvisionedThroughputExceededException",
            None,
        ]
        assert of_one == json.loads(told)

    running(test)


def test_only_a_read_meets_an_iterator_that_has_expired() -> None:
    upstream = Upstream(ANSWER)

    async def test() -> None:
        async with through(Rates(expired=1.0), upstream) as (_, reader, writer):
            assert await asks(reader, writer, ANSWER) == ANSWER
            writer.write(a_request("GetRecords", {}))
            assert (await an_answer(reader))["__type"] == "ExpiredIteratorException"
        assert upstream.asked == [REQUEST]

    running(test)


def a_request(operation: str, body: object) -> bytes:
    encoded = json.dumps(body).encode()
    head = f"POST / HTTP/1.1\r\nX-Amz-Target: Kinesis_20131202.{operation}\r\nContent-Length: {len(encoded)}\r\n\r\n"
    return head.encode() + encoded


async def an_answer(reader: asyncio.StreamReader) -> Any:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return json.loads(await reader.readexactly(int(length)))


def test_http_2_is_passed_on_as_it_is() -> None:
    async def test() -> None:
        upstream = Upstream(b"frames")
        async with through(Rates(dropped=1.0), upstream) as (_, reader, writer):
            writer.write(HTTP_2_PREFACE + b"SM\r\n\r\n")
            assert await reader.readexactly(6) == b"frames"
        assert b"".join(upstream.asked).startswith(HTTP_2_PREFACE)

    running(test)
