"""The connections of simulated clients to one server over HTTP/1.1: kept open, with one request on each at a time.

Clients share the machine with the gateway that they load, so a request costs them no more than its bytes: what stays
the same of its head is made once, and what comes back goes through uvicorn's parser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httptools

CONNECTIONS: Final = 64
TRY_SECONDS: Final = 10.0
"""From when a request may go to its answer, whole."""


class Answer(NamedTuple):
    """What the server said."""

    status: int
    body: bytes


class ClientConnections:
    """As many as ``CONNECTIONS``, opened when they are needed."""

    def __init__(self, url: str) -> None:
        """``url`` is a server's, without TLS, and the path that is posted to."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[_Connection] = []

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return the answer; ``OSError``, which a timeout is too, if there is none.  Whoever is cancelled hangs up."""
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"{self._head}Content-Length: {len(body)}\r\n{told}\r\n".encode() + body
        async with self._room, asyncio.timeout(TRY_SECONDS):
            connection = await self._connection()
            try:
                answer = await connection.ask(request)
            finally:
                if connection.may_be_asked:
                    self._idle.append(connection)
                else:
                    connection.close()
            return answer

    def close(self) -> None:
        """Close what is open and idle."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.may_be_asked:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        return connection


class _Connection(asyncio.Protocol):
    """One connection; the methods ``on_…`` are the parser's to call."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._answer: asyncio.Future[Answer] | None = None
        self._is_open = False

    @property
    def may_be_asked(self) -> bool:
        """Say whether it is open, and nothing is to come over it."""
        return self._is_open and self._answer is None

    async def ask(self, request: bytes) -> Answer:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._is_open = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as failure:
            self._fail(ConnectionError(f"the answer is no HTTP: {failure}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError(f"the connection ended before its answer: {exc}"))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        answer, self._answer = self._answer, None
        body, self._body = b"".join(self._body), []
        self._is_open = self._is_open and self._parser.should_keep_alive()
        if answer is not None and not answer.done():
            answer.set_result(Answer(self._parser.get_status_code(), body))

    def _fail(self, failure: ConnectionError) -> None:
        self._is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(failure)
