"""Only who proves to be a client gets in, and a gateway that would let others in does not start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from typer.testing import CliRunner

from agents.cli import app
from agents.edge.errors import EdgeError
from agents.edge.gateway.clients import Client, Clients, read_clients
from agents.edge.gateway.http_server import TlsFiles
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.gateway.rates import Rates
from tests.unit.gateway.certificates import Authority, PrivateKey, signed, write_public_key
from tests.unit.gateway.http_under_test import serving
from tests.unit.gateway.orders_under_test import GatewayUnderTest

ACME = Client("acme", "hub", frozenset({"DEUTDEFF", "COBADEFF"}), 100.0)
KEY = ed25519.Ed25519PrivateKey.generate()
NOW = 1_800_000_000.0


def clients_of(folder: Path, key: PrivateKey = KEY, /, **entry: str) -> Clients:
    write_public_key(key, folder / "acme.pem")
    said = {
        "tenant": '"hub"',
        "agents": '["DEUTDEFFXXX", "COBADEFF"]',
        "requests_per_second": "100.0",
        "public_key": '"acme.pem"',
    } | entry
    lines = "\n".join(f"{name} = {value}" for name, value in said.items() if value)
    (folder / "clients.toml").write_text(f"[clients.acme]\n{lines}\n")
    return read_clients(folder / "clients.toml")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (KEY, "EdDSA"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (rsa.generate_private_key(65_537, 2_048), "PS256"),
    ],
    ids=["EdDSA", "ES256", "PS256"],
)
def test_a_token_is_its_clients_by_the_algorithm_of_its_key(tmp_path: Path, key: PrivateKey, algorithm: str) -> None:
    clients = clients_of(tmp_path, key)

    assert clients.of_token(signed(key, algorithm, exp=NOW + 60), NOW) == ACME


def _unsigned() -> str:
    return jwt.encode({"sub": "acme", "aud": "payments-gateway", "exp": NOW + 60}, "", "none")


def _signed_with_the_public_key() -> str:
    pem = KEY.public_key().public_bytes_raw()
    return jwt.encode({"sub": "acme", "aud": "payments-gateway", "exp": NOW + 60}, pem, "HS256")


@pytest.mark.parametrize(
    "forge",
    [
        lambda: signed(ed25519.Ed25519PrivateKey.generate(), exp=NOW + 60),
        _unsigned,
        _signed_with_the_public_key,
        lambda: signed(KEY, sub="nobody", exp=NOW + 60),
        lambda: signed(KEY, sub=None, exp=NOW + 60),
        lambda: signed(KEY, aud="another-gateway", exp=NOW + 60),
        lambda: signed(KEY, aud=None, exp=NOW + 60),
        lambda: signed(KEY, exp=None),
        lambda: signed(KEY, exp="soon"),
        lambda: signed(KEY, exp=float("nan")),
        lambda: signed(KEY, exp=NOW - 1),
        lambda: signed(KEY, exp=NOW + 7_200),
        lambda: "no.token.atall",
        lambda: "",
    ],
)
def test_a_token_that_is_not_the_clients_or_not_for_now_is_refused(tmp_path: Path, forge: Callable[[], str]) -> None:
    clients = clients_of(tmp_path)

    for _ in range(2):
        with pytest.raises(Problem) as refused:
            clients.of_token(forge(), NOW)
        assert refused.value.kind is Kind.UNAUTHENTICATED


def test_a_token_that_was_verified_runs_out_all_the_same(tmp_path: Path) -> None:
    clients = clients_of(tmp_path)
    token = signed(KEY, exp=NOW + 5)
    assert clients.of_token(token, NOW) == ACME
    assert clients.of_token(token, NOW + 4) == ACME

    with pytest.raises(Problem, match="has run out"):
        clients.of_token(token, NOW + 5)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"public_key": ""}, "could prove nothing"),
        ({"public_key": '"missing.pem"'}, "missing.pem holds no public key"),
        ({"agents": '["DEUT"]'}, "DEUT is no BIC"),
        ({"requests_per_second": "0.0"}, "clients.acme.requests_per_second"),
        ({"certificates": '["abcd"]'}, "not the SHA-256 fingerprint"),
        ({"tenant": ""}, "clients.acme.tenant: Field required"),
        ({"tenants": '"x"'}, "clients.acme.tenants: Extra inputs"),
    ],
)
def test_a_clients_file_that_is_wrong_is_refused_with_the_place(
    tmp_path: Path, entry: dict[str, str], said: str
) -> None:
    with pytest.raises(EdgeError, match=said):
        clients_of(tmp_path, **entry)


def test_a_weak_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="2048 bits"):
        clients_of(tmp_path, rsa.generate_private_key(65_537, 1_024))  # noqa: S505 - that is the point


def test_a_bucket_gives_a_clients_rate_and_holds_a_second_of_it() -> None:
    rates, client, now_us = Rates(), Client("acme", "hub", frozenset(), 10.0), 1_000_000_000

    def taken(at_us: int) -> bool:
        try:
            rates.count(client, at_us)
        except Problem:
            return False
        return True

    assert sum(taken(now_us) for _ in range(30)) == 10
    assert [taken(now_us + 100_000), taken(now_us + 100_000)] == [True, False]
    assert sum(taken(now_us + 60_000_000) for _ in range(30)) == 10
    assert not taken(now_us)  # a clock that goes back gives nothing


# ------------------------------------------------------------------------------------------------------ over the wire


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayUnderTest]:
    under_test = GatewayUnderTest(tmp_path / "gateway")
    yield under_test
    under_test.close()


def test_a_request_needs_a_token(gateway: GatewayUnderTest, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(gateway, clients_of(tmp_path)) as client:
            told = await client.pay(Authorization=f"Bearer {signed(KEY, exp=time.time() + 60)}")
            assert told.status == 202
            for authorization in ("", "Bearer x", "Basic YTpi"):
                refused = await client.pay(Authorization=authorization)
                assert (refused.status, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
                looking = await client.ask("GET", "/payments/pay_1", Authorization=authorization)
                assert looking.status == 401

    asyncio.run(story())


def test_a_certificate_is_as_good_as_a_token_if_it_is_a_clients(gateway: GatewayUnderTest, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path, "ca"), Authority(tmp_path, "stranger")
    server = authority.issue("localhost")
    acme, other, foreign = authority.issue("acme"), authority.issue("other"), stranger.issue("foreign")
    clients = clients_of(tmp_path, certificates=f'["{acme[2].upper()}"]')
    tls = TlsFiles(server[0], server[1], authority.path)

    async def status(certificate: tuple[Path, Path, str] | None, authorization: str = "") -> int:
        async with serving(gateway, clients, tls=tls, client_tls=authority.trusted(certificate)) as client:
            return (await client.pay(Authorization=authorization)).status

    assert asyncio.run(status(acme)) == 202
    assert asyncio.run(status(other)) == 401
    assert asyncio.run(status(None)) == 401
    assert asyncio.run(status(None, f"Bearer {signed(KEY, exp=time.time() + 60)}")) == 202
    with pytest.raises(aiohttp.ClientError):
        asyncio.run(status(foreign))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--clients"),
        (("--open", "--clients", "clients.toml"), "--clients"),
        (("--open", "--tls-cert", "x.crt"), "--tls-key"),
        (("--open", "--client-ca", "ca.pem"), "--tls-cert"),
        (("--open", "--listen", "8080"), "HOST:PORT"),
    ],
)
def test_a_gateway_is_told_who_may_submit(options: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(app, ("gateway", "--log", "local:log", *options))

    assert (result.exit_code, said in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--open", "--listen", "0.0.0.0:0"), "an open gateway serves loopback only"),
        (("--clients", "clients.toml", "--listen", "0.0.0.0:0"), "without TLS a gateway serves loopback only"),
        (("--clients", "missing.toml"), "missing.toml"),
    ],
)
def test_a_gateway_that_would_be_open_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    clients_of(tmp_path)

    result = CliRunner().invoke(app, ("gateway", "--log", "local:log", "--data", str(tmp_path / "data"), *options))

    assert result.exit_code == 3
    assert said in result.stderr + capfd.readouterr().err
    assert not (tmp_path / "data").exists()
