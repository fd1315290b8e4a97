"""Who may submit payments: the clients' file, and how a request is known to be a client's.

    [clients.acme]
    tenant = "hub"                                   its keys and account tokens are this tenant's
    agents = ["DEUTDEFF"]                            the banks whose customers' orders it may submit; "*" for all
    requests_per_second = 200
    public_key = "acme.pem"                          of its signed tokens, beside this file
    certificates = ["SHA-256 fingerprint"]           of its TLS certificates

A client proves itself by one of two things:

*A signed token* (JWT, RFC 7519) as ``Authorization: Bearer``: ``sub`` is the client's name, ``aud`` is
``payments-gateway``, ``exp`` is at most an hour ahead.  It is signed with the private half of ``public_key``; which
algorithm is used follows from that key and never from the token.

*A TLS certificate* (``--client-ca``): the connection's certificate has one of the client's fingerprints.

Tokens that were verified are remembered until they run out, since a signature costs more than all else that a request
costs here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.edge.errors import EdgeError
from agents.edge.gateway.problems import Kind, Problem
from schemas.identifiers import is_bic

AUDIENCE: Final = "payments-gateway"
TOKEN_SECONDS_MAX: Final = 3_600
ANY_AGENT: Final = "*"
RSA_BITS_MIN: Final = 2_048
_REMEMBERED_MAX: Final = 10_000
_is_fingerprint = re.compile(r"[0-9a-f]{64}").fullmatch
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who may submit payments."""

    name: str
    tenant: str
    agents: frozenset[str]
    """BICs without the branch; ``ANY_AGENT`` for all."""
    requests_per_second: float

    def may_submit_for(self, agent: str) -> bool:
        """Say whether orders of customers of the bank with this BIC may come from here."""
        return ANY_AGENT in self.agents or agent[:8] in self.agents


class _ClientEntry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    tenant: _Name
    agents: list[str]
    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    public_key: str = ""
    certificates: list[str] = []


class _ClientsFile(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    clients: dict[_Name, _ClientEntry]


@dataclass(frozen=True, slots=True)
class _TokenKey:
    key: Any
    algorithm: str


@dataclass
class Clients:
    """All clients, by what they prove themselves with."""

    by_name: Mapping[str, Client]
    token_keys: Mapping[str, _TokenKey]
    by_certificate: Mapping[str, Client]
    """SHA-256 of a certificate, in hex -> whose it is."""
    _verified: dict[str, tuple[Client, float]] = field(default_factory=dict)
    """Token -> whose it is, and when it runs out, in seconds since the epoch."""

    def of_token(self, token: str, now_seconds: float) -> Client:
        """Return the client who signed ``token``; raise ``Problem`` if nobody did, or if it has run out."""
        known = self._verified.get(token)
        if known is not None and now_seconds < known[1]:
            return known[0]
        client, expires = self._verify(token, now_seconds)
        if len(self._verified) >= _REMEMBERED_MAX:
            self._verified.clear()
        self._verified[token] = (client, expires)
        return client

    def of_certificate(self, fingerprint: str) -> Client:
        """Return the client with the certificate of this fingerprint; raise ``Problem`` if nobody has it."""
        client = self.by_certificate.get(fingerprint)
        if client is None:
            raise _unknown("the TLS certificate is no client's")
        return client

    def _verify(self, token: str, now_seconds: float) -> tuple[Client, float]:
        try:
            name = str(jwt.decode(token, options={"verify_signature": False})["sub"])
            token_key = self.token_keys[name]
            claims = jwt.decode(
                token,
                token_key.key,
                algorithms=[token_key.algorithm],
                audience=AUDIENCE,
                options={"require": ["exp", "sub", "aud"], "verify_exp": False},
            )
            expires = float(claims["exp"])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise _unknown("the token is not signed by a client, or is not for this gateway") from None
        if not now_seconds < expires:
            raise _unknown("the token has run out")
        if expires > now_seconds + TOKEN_SECONDS_MAX:
            raise _unknown(f"the token is valid for more than {TOKEN_SECONDS_MAX} s")
        return self.by_name[name], expires


def read_clients(path: Path) -> Clients:
    """Return the clients in a file; raise ``EdgeError`` naming what is wrong with it."""
    try:
        read = _ClientsFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EdgeError(f"the clients' file cannot be read: {path}: {error}") from None
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise EdgeError(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    by_name: dict[str, Client] = {}
    token_keys: dict[str, _TokenKey] = {}
    by_certificate: dict[str, Client] = {}
    for name, entry in read.clients.items():
        client = by_name[name] = _client(path, name, entry)
        if entry.public_key:
            token_keys[name] = _token_key(path.parent / entry.public_key)
        for text in entry.certificates:
            fingerprint = text.replace(":", "").lower()
            if _is_fingerprint(fingerprint) is None:
                raise EdgeError(f"{path}: clients.{name}: not the SHA-256 fingerprint of a certificate: {text}")
            if by_certificate.setdefault(fingerprint, client) is not client:
                raise EdgeError(f"{path}: clients.{name}: {text} is another client's certificate, too")
    return Clients(by_name, token_keys, by_certificate)


def _client(path: Path, name: str, entry: _ClientEntry) -> Client:
    if not entry.public_key and not entry.certificates:
        raise EdgeError(f"{path}: clients.{name} has neither public_key nor certificates, and could prove nothing")
    for agent in entry.agents:
        if agent != ANY_AGENT and is_bic(agent) is None:
            raise EdgeError(f"{path}: clients.{name}.agents: {agent} is no BIC, and not {ANY_AGENT!r}")
    return Client(name, entry.tenant, frozenset(each[:8] for each in entry.agents), entry.requests_per_second)


def _token_key(path: Path) -> _TokenKey:
    """Return a public key, and the one algorithm that tokens may be signed by with it."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EdgeError(f"{path} holds no public key in PEM: {error}") from None
    match key:
        case Ed25519PublicKey():
            return _TokenKey(key, "EdDSA")
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return _TokenKey(key, "ES256")
        case RSAPublicKey() if key.key_size >= RSA_BITS_MIN:
            return _TokenKey(key, "PS256")
        case _:
            raise EdgeError(f"{path}: a token's key is of Ed25519, P-256, or RSA of {RSA_BITS_MIN} bits and more")


def _unknown(detail: str) -> Problem:
    return Problem(Kind.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": 'Bearer realm="payments"'})
