"""A simulated client's request gets its own answer or none, whatever became of the requests before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agents.edge import client_connections
from agents.edge.client_connections import Answer, ClientConnections


class Server:
    """Answers each request with its body; to ``silent`` it says nothing, and to ``rude`` no HTTP."""

    def __init__(self) -> None:
        self.connections = 0
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await reader.readline():
            while (line := await reader.readline()) != b"\r\n":
                head += line
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            self.asked.set()
            if body == b"rude":
                writer.write(b"Hello?\r\n\r\n")
            elif body != b"silent":
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%b" % (length, body))
        self.hung_up.set()
        writer.close()


def told(story: Callable[[ClientConnections, Server], Awaitable[None]]) -> None:
    async def run() -> None:
        server = Server()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        async with listening:
            host, port = listening.sockets[0].getsockname()
            connections = ClientConnections(f"http://{host}:{port}/payments")
            await story(connections, server)
            connections.close()

    asyncio.run(run())


def test_requests_one_after_another_share_a_connection() -> None:
    async def story(connections: ClientConnections, server: Server) -> None:
        for body in (b"one", b"two", b"three"):
            assert await connections.post(body, {"Idempotency-Key": "key"}) == Answer(202, body)
        assert server.connections == 1

    told(story)


def test_requests_at_the_same_time_get_each_its_own_answer() -> None:
    async def story(connections: ClientConnections, server: Server) -> None:
        bodies = [str(number).encode() for number in range(3 * client_connections.CONNECTIONS)]
        answers = await asyncio.gather(*(connections.post(body, {}) for body in bodies))
        assert [answer.body for answer in answers] == bodies
        assert server.connections == client_connections.CONNECTIONS

    told(story)


def test_whoever_is_cancelled_hangs_up_and_leaves_no_answer_to_the_next() -> None:
    async def story(connections: ClientConnections, server: Server) -> None:
        asking = asyncio.ensure_future(connections.post(b"silent", {}))
        await server.asked.wait()
        asking.cancel()
        await asyncio.wait([asking])
        assert await connections.post(b"next", {}) == Answer(202, b"next")
        assert server.connections == 2
        await server.hung_up.wait()

    told(story)


def test_what_is_no_http_is_a_broken_connection() -> None:
    async def story(connections: ClientConnections, _server: Server) -> None:
        with pytest.raises(ConnectionError, match="is no HTTP"):
            await connections.post(b"rude", {})
        assert await connections.post(b"next", {}) == Answer(202, b"next")

    told(story)


def test_a_silent_server_is_an_oserror_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_connections, "TRY_SECONDS", 0.01)

    async def story(connections: ClientConnections, _server: Server) -> None:
        with pytest.raises(OSError):  # noqa: PT011 - it is a TimeoutError, which has no words
            await connections.post(b"silent", {})

    told(story)
