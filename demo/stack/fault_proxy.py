"""A proxy in front of the Kinesis emulator that has the faults which the network and AWS have, drawn from a seed.

    dropped      the request is done, its answer is lost, and the connection is closed: nobody knows what became of it
    refused      nothing is done, and the answer is 500 or, every second time, that the rate was exceeded
    slow         the answer comes a second late
    partial      of a PutRecords every second entry is stored, and the others are answered as throttled
    expired      a GetRecords is answered that its iterator has expired

It speaks HTTP/1.1, as boto3 does, one request after the other on a connection, and to the emulator on a connection for
each.  KCL's Java speaks HTTP/2, and is passed through as it is: it only reads, and a read that fails is no risk to
money.

    python -m demo.stack.fault_proxy PORT UPSTREAM_PORT STATISTICS --dropped 0.01 …

How often each fault happened is written to STATISTICS, a JSON file, every second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

SLOW_SECONDS = 1.0
STATISTICS_SECONDS = 1.0
HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
_HEAD_END = b"\r\n\r\n"
_BLOCK_BYTES = 1 << 16
_HEAD_BYTES_MAX = 1 << 16
_OF_BODY = (b"content-length:", b"transfer-encoding:")
_LOST = (asyncio.IncompleteReadError, ConnectionError)
_TYPE = "application/x-amz-json-1.1"
_PUT, _GET = b"kinesis_20131202.putrecords", b"kinesis_20131202.getrecords"
_MESSAGE = "said so by the fault proxy"
_TOO_MUCH = "ProvisionedThroughputExceededException"
_REFUSALS = ((500, "InternalFailure"), (400, _TOO_MUCH))
_EXPIRED = (400, "ExpiredIteratorException")
_THROTTLED = {"ErrorCode": _TOO_MUCH, "ErrorMessage": _MESSAGE}


class Rates(NamedTuple):
    """Of so many requests one meets the fault: from 0 to 1."""

    dropped: float = 0.0
    refused: float = 0.0
    slow: float = 0.0
    partial: float = 0.0
    expired: float = 0.0


class Message(NamedTuple):
    """A request or an answer."""

    head: bytes
    body: bytes


class FaultProxy:
    """One proxy, and how often it did what."""

    def __init__(self, upstream_port: int, rates: Rates, seed: int) -> None:
        self._upstream_port = upstream_port
        self._rates = rates
        self._random = Random(seed)
        self.happened: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        try:
            await self._serve(reader, writer)
        except _LOST:
            self.happened["connections lost"] += 1
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            if head == HTTP_2_PREFACE:
                async with self._upstream() as (upstream_reader, upstream_writer):
                    upstream_writer.write(head)
                    await asyncio.gather(_pass_on(reader, upstream_writer), _pass_on(upstream_reader, writer))
                return
            request = Message(head, await _body(reader, head))
            self.happened["requests"] += 1
            fault = self._draw(request)
            if fault:
                self.happened[fault] += 1
            if fault == "refused":
                writer.write(_refusal(*_REFUSALS[self.happened[fault] % len(_REFUSALS)]))
                continue
            if fault == "expired":
                writer.write(_refusal(*_EXPIRED))
                continue
            answer = await (self._ask_half(request) if fault == "partial" else self._ask(request))
            if fault == "dropped":
                return
            if fault == "slow":
                await asyncio.sleep(SLOW_SECONDS)
            writer.write(answer.head + answer.body)
            await writer.drain()

    async def _ask(self, request: Message) -> Message:
        """Have a request done, on a connection of its own: one that is kept is closed by the emulator when it likes."""
        async with self._upstream() as (reader, writer):
            writer.write(request.head + request.body)
            head = await reader.readuntil(_HEAD_END)
            return Message(head, await _body(reader, head))

    async def _ask_half(self, request: Message) -> Message:
        """Have every second entry of a PutRecords stored, and answer for the others."""
        asked = json.loads(request.body)
        entries = asked["Records"]
        answer = await self._ask(_with_body(request.head, {**asked, "Records": entries[::2]}))
        told = json.loads(answer.body)
        if "Records" not in told:
            return answer
        results = [_THROTTLED] * len(entries)
        results[::2] = told["Records"]
        failed = told["FailedRecordCount"] + len(entries) // 2
        return _with_body(answer.head, {**told, "FailedRecordCount": failed, "Records": results})

    @asynccontextmanager
    async def _upstream(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        try:
            yield reader, writer
        finally:
            writer.close()

    def _draw(self, request: Message) -> str | None:
        """Return the fault that a request is to meet; None also where that one has no meaning."""
        drawn = self._random.random()
        for fault, rate in self._rates._asdict().items():
            if drawn < rate:
                return str(fault) if _can_meet(request, fault) else None
            drawn -= rate
        return None


def _can_meet(request: Message, fault: str) -> bool:
    if fault == "expired":
        return _GET in request.head.lower()
    return fault != "partial" or (_PUT in request.head.lower() and len(json.loads(request.body)["Records"]) > 1)


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Return a message's first line and headers; nothing if the connection ends before it."""
    try:
        return await reader.readuntil(_HEAD_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Return what follows a head, as it is on the wire."""
    headers = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        return await _chunks(reader)
    return await reader.readexactly(int(headers.get(b"content-length", b"0")))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        parts += [line, await reader.readexactly(size + 2)]
        if size == 0:
            return b"".join(parts)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(_BLOCK_BYTES):
        writer.write(block)
        await writer.drain()
    writer.close()


def _refusal(status: int, code: str) -> bytes:
    body = json.dumps({"__type": code, "message": _MESSAGE}).encode()
    head = f"HTTP/1.1 {status} Refused\r\ncontent-type: {_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _with_body(head: bytes, body: object) -> Message:
    """Return a message with another body, of which only its length is told."""
    encoded = json.dumps(body).encode()
    lines = [line for line in head.split(b"\r\n") if line and not line.lower().startswith(_OF_BODY)]
    return Message(b"\r\n".join([*lines, b"content-length: %d" % len(encoded), b"", b""]), encoded)


async def _run(options: argparse.Namespace) -> None:
    rates = Rates(**{fault: getattr(options, fault) for fault in Rates._fields})
    proxy = FaultProxy(options.upstream_port, rates, options.seed)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", options.port, limit=_HEAD_BYTES_MAX)
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    while not stop.is_set():
        options.statistics.write_text(json.dumps(proxy.happened), "utf-8")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), STATISTICS_SECONDS)
    options.statistics.write_text(json.dumps(proxy.happened), "utf-8")
    server.close()


def main() -> int:
    """Run the proxy until SIGTERM."""
    parser = argparse.ArgumentParser(description="Put faults between clients and the Kinesis emulator.")
    parser.add_argument("port", type=int)
    parser.add_argument("upstream_port", type=int)
    parser.add_argument("statistics", type=Path, help="a JSON file: how often each fault happened")
    parser.add_argument("--seed", type=int, default=1)
    for fault in Rates._fields:
        parser.add_argument(f"--{fault}", type=float, default=0.0, metavar="SHARE", help="of the requests, from 0 to 1")
    asyncio.run(_run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
