"""``payments gateway``: take payments in over HTTP, until SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PORT_MAX = 65_535


def gateway(
    log: Annotated[str, typer.Option(help="The log to append to: local:DIR or kinesis:REGION.")],
    data: Annotated[Path, typer.Option(help="Where the vault and the claims are kept.")] = Path("data"),
    listen: Annotated[str, typer.Option(help="HOST:PORT to serve; port 0 takes a free one.")] = "127.0.0.1:8080",
    clients: Annotated[Path | None, typer.Option(help="The clients' file (TOML): docs/gateway.md.")] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Without clients: whoever reaches this loopback address may submit.")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="The server's certificate chain, in PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, in PEM.")] = None,
    client_ca: Annotated[Path | None, typer.Option(help="Who signs clients' certificates, in PEM.")] = None,
    vault_key: Annotated[
        Path | None, typer.Option(help="The key of account tokens, mode 600. Default: one made in --data.")
    ] = None,
    claims: Annotated[
        str | None, typer.Option(help="dynamodb:TABLE, which gateways share. Default: SQLite in --data.")
    ] = None,
    tables: Annotated[
        str | None, typer.Option(help="The projector's tables, for how payments stand: sqlite:DIR or dynamodb:TABLE.")
    ] = None,
) -> None:
    """Take payments in over HTTP: claim each, append it to the log, answer.

    A payment that is answered with 202 is in the log, and a retry with the same Idempotency-Key is answered the same,
    whenever it comes. SIGTERM or Ctrl-C: finishes what it has in hand, and ends with 0. What it cannot go on with ends
    it with 3. Settings: PAYMENTS_GATEWAY_… in the environment, or the file named by PAYMENTS_CONFIG.
    """
    import os

    from agents.edge.gateway.http_server import TlsFiles
    from agents.edge.gateway.process import GatewayPlan, run_gateway
    from pipeline.settings import SettingsError, load_settings

    try:
        settings = load_settings(os.environ)
    except SettingsError as error:
        raise typer.BadParameter(str(error), param_hint="environment") from error
    if open_ == (clients is not None):
        raise typer.BadParameter("say who may submit: --clients FILE, or --open", param_hint="--clients")
    if (tls_cert is None) != (tls_key is None) or (client_ca is not None and tls_cert is None):
        raise typer.BadParameter(
            "TLS takes --tls-cert and --tls-key; --client-ca comes besides", param_hint="--tls-cert"
        )
    tls = TlsFiles(tls_cert, tls_key, client_ca) if tls_cert is not None and tls_key is not None else None
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > PORT_MAX:
        raise typer.BadParameter(f"{listen!r} is not HOST:PORT", param_hint="--listen")
    plan = GatewayPlan(log, data, host.strip("[]"), int(port), clients, tls, vault_key, claims, tables)
    raise typer.Exit(run_gateway(plan, settings))
