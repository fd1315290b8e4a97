"""Where messages come in over HTTP: looked at here, taken in by whoever is behind.

    POST /messages   202  all of it is taken, durably
                     422  a list of what is refused, [number, path, rule, message]; the rest is taken
                     400  no message at all: not well-formed, in another encoding, something else
                     413  larger than ``BODY_BYTES_MAX``
                     503  overloaded: come again
    GET /health      what was taken and what was refused, by rule

Only valid messages are passed on, all of a request at once, and the request is answered when they are durable.  The
place of a fault is named, and of a value six characters at most.

Nobody is authenticated here: the port is for the loopback interface, or behind a proxy that knows who comes.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from aiohttp import web

from agents.edge.wire.http_wire import SOME_REFUSED, TAKEN, write_refusals
from agents.edge.wire.port import OverloadedError, Refusal, Take
from schemas.iso20022.errors import UnreadableDocumentError
from schemas.iso20022.messages import read_messages

BODY_BYTES_MAX: Final = 4 << 20
MESSAGES_PATH: Final = "/messages"
_UNREADABLE: Final = 400
_STOP_SECONDS_MAX: Final = 2.0
_JSON: Final = "application/json"

logger = logging.getLogger("payments.edge.inbox")


class Inbox:
    """The HTTP server of one side of the links."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._runner: web.AppRunner | None = None
        self.taken: Counter[str] = Counter()
        """Messages by name."""
        self.refused: Counter[str] = Counter()
        """Messages, and whole requests that held none, by the rule that they break."""

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port; any free one for 0."""
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_post(MESSAGES_PATH, self._receive)
        application.router.add_get("/health", self._health)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_STOP_SECONDS_MAX)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening; requests in hand are answered first, if that is soon."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            self._refuse(Refusal(0, "", "size", f"more than {BODY_BYTES_MAX} bytes"))
            raise
        try:
            messages = read_messages(body)
        except UnreadableDocumentError as failure:
            refusal = Refusal(0, "", "document", str(failure))
            self._refuse(refusal)
            return web.Response(status=_UNREADABLE, body=write_refusals([refusal]), content_type=_JSON)
        refusals = [
            Refusal(number, message.faults[0].path, message.faults[0].rule, message.faults[0].message)
            for number, message in enumerate(messages)
            if message.faults
        ]
        valid = [number for number, message in enumerate(messages) if not message.faults]
        try:
            taken = await self._take([messages[number] for number in valid])
        except OverloadedError:
            self._refuse(Refusal(0, "", "overload", "come again"))
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "1"}) from None
        refusals += [refusal._replace(number=valid[refusal.number]) for refusal in taken]
        refused = {refusal.number for refusal in refusals}
        self.taken.update(str(message.name) for number, message in enumerate(messages) if number not in refused)
        if not refusals:
            return web.Response(status=TAKEN)
        for refusal in refusals:
            self._refuse(refusal)
        return web.Response(status=SOME_REFUSED, body=write_refusals(refusals), content_type=_JSON)

    def _refuse(self, refusal: Refusal) -> None:
        self.refused[refusal.rule] += 1
        logger.warning("refused a message: %s: %s [%s]", refusal.path, refusal.message, refusal.rule)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"taken": self.taken, "refused": self.refused})
