"""Where a process answers ``/metrics`` and ``/health``: a thread of its own, on the loopback interface by default.

The thread answers also while the event loop is busy or stuck, which is when somebody asks.  Health is told by a
function that returns what to show; it runs in this thread, so it only reads.
"""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client.registry import Collector


class Health(NamedTuple):
    """What a process says of itself."""

    healthy: bool
    """False answers with 503, so that whoever probes may replace the process."""
    details: Mapping[str, object]
    """Shown as JSON."""


class ObservationServer:
    """Serves metrics and health over HTTP from its start to :meth:`close`."""

    def __init__(self, host: str, port: int, metrics: Collector, health: Callable[[], Health]) -> None:
        class Handler(_Handler):
            pages = _Pages(metrics, health)

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name="observation", daemon=True).start()

    @property
    def port(self) -> int:
        """The port that is listened on: the one asked for, or the one that the system gave for port 0."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Pages:
    def __init__(self, metrics: Collector, health: Callable[[], Health]) -> None:
        self._metrics = metrics
        self._health = health

    def get(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._metrics)
        if path == "/health":
            healthy, details = self._health()
            status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
            body = json.dumps({"healthy": healthy, **details}, indent=1, default=str)
            return status, "application/json", body.encode()
        return HTTPStatus.NOT_FOUND, "text/plain", b"/metrics and /health are here\n"


class _Handler(BaseHTTPRequestHandler):
    pages: _Pages

    def handle(self) -> None:
        """Answer; whoever asked may not have waited, and that is no failure of ours."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        status, content_type, body = self.pages.get(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in http.server
        """Say nothing: a probe every second is no event."""
