"""uvicorn, told what the gateway needs of it: certificates of clients, bounded heads, and no signals of its own."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from ssl import CERT_OPTIONAL
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

HEAD_BYTES_MAX: Final = 16_384
KEEP_ALIVE_SECONDS: Final = 75
GRACE_SECONDS: Final = 10


class TlsFiles(NamedTuple):
    """What TLS needs."""

    certificate: Path
    """With what stands between it and a root, in PEM."""
    key: Path
    client_ca: Path | None
    """Whose signature is on clients' certificates; None: clients have tokens."""


class GatewayProtocol(HttpToolsProtocol):
    """One connection: tells each request the digest of its certificate, and ends at a head that has no end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        self._certificate = sha256(certificate).hexdigest() if certificate else ""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self.scope["state"]["certificate"] = self._certificate

    def on_url(self, url: bytes) -> None:
        self._bound(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._bound(len(name) + len(value))
        super().on_header(name, value)

    def _bound(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_BYTES_MAX:
            self.transport.abort()
            raise ValueError(f"a head of more than {HEAD_BYTES_MAX} bytes")


class HttpServer(uvicorn.Server):
    """Serves until it is told to stop; signals are the process's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    def stop(self) -> None:
        """Take no new connections, and end behind the requests in hand."""
        self.should_exit = True


def make_server(app: FastAPI, tls: TlsFiles | None) -> HttpServer:
    """Return a server for ``app``; whoever starts it gives it its socket."""
    secured: dict[str, Any] = {}
    if tls is not None:
        secured = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
        if tls.client_ca is not None:
            secured |= {"ssl_ca_certs": str(tls.client_ca), "ssl_cert_reqs": CERT_OPTIONAL}
    return HttpServer(
        uvicorn.Config(
            app,
            http=GatewayProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            **secured,
        )
    )
