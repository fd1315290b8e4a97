"""Verification of payee: is the account the payee's?  It is asked before a payment, and never stops one.

The answer is the payee's bank's; ``PayeeDirectory`` is the way there.  What was asked and answered is kept: who is
liable when the money has gone to somebody else depends on what the payer was told.  Names are kept in the vault.

Results are those of the EPC's scheme: MTCH match, CMTC close match (with the name that it is), NMTC no match, NOAP not
possible - the bank does not take part, or has not answered within 5 s.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import unicodedata
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from agents.edge.gateway.documents import VerificationDocument, VerificationResultDocument
from agents.edge.gateway.json_orders import account_content
from agents.edge.gateway.orders import code_of, refuse
from agents.edge.vault.accounts import canonical, is_iban
from agents.edge.vault.port import Account
from agents.edge.workload.http_orders import name_of
from agents.edge.workload.population import participants
from schemas.errors import Fault
from schemas.iso20022.bindings import moment_text
from schemas.iso20022.conversion import account_number
from schemas.schemes.catalogue import SCHEMES

if TYPE_CHECKING:
    from agents.edge.gateway.clients import Client
    from agents.edge.gateway.intake import Stores
    from pipeline.ports import Clock

ANSWER_SECONDS_MAX: Final = 5.0
Result = Literal["MTCH", "CMTC", "NMTC", "NOAP"]
_CLOSE: Final = 0.8
"""How alike two names are, of 1, that are one name misspelt."""


class Answer(NamedTuple):
    """What a payee's bank says."""

    result: Result
    matched_name: str = ""
    """Of a close match."""


class PayeeDirectory(Protocol):
    """The banks of payees."""

    responder: str
    """Who answers."""

    async def ask(self, agent: str, number: str, name: str) -> Answer:
        """Return what the bank with the BIC ``agent`` says of an account and a name."""


class SimulatedDirectory:
    """The simulated world's banks: every account has a holder, whose name follows from its number."""

    responder = "simulated-directory"

    def __init__(self) -> None:
        self._agents = frozenset(participant.listing.bic[:8] for participant in participants())

    async def ask(self, agent: str, number: str, name: str) -> Answer:
        """Compare the name with that of the account's holder."""
        if agent[:8] not in self._agents:
            return Answer("NOAP")
        return compare(name, name_of(number))


def compare(name: str, holder: str) -> Answer:
    """Return how a name stands to that of an account's holder."""
    asked, known = _plain(name), _plain(holder)
    if asked == known:
        return Answer("MTCH")
    if SequenceMatcher(a=asked, b=known).ratio() >= _CLOSE:
        return Answer("CMTC", holder)
    return Answer("NMTC")


class Verifications:
    """Asks, and keeps what was answered."""

    def __init__(self, stores: Stores, clock: Clock, directory: PayeeDirectory) -> None:
        self._stores = stores
        self._clock = clock
        self._directory = directory

    async def verify(self, client: Client, asked: VerificationDocument) -> VerificationResultDocument:
        """Return what the payee's bank says; it is kept under the id that it is given here."""
        number = canonical(account_number({"CdtrAcct": account_content(asked.account)}, "Cdtr"))
        if asked.account.iban and not is_iban(number):
            reason = code_of(SCHEMES["sct-inst"], "AC01")
            raise refuse(reason, Fault("account.iban", "account", "is no IBAN: its check digits are wrong"))
        try:
            answer = await asyncio.wait_for(
                self._directory.ask(asked.agent, number, asked.name), timeout=ANSWER_SECONDS_MAX
            )
        except TimeoutError:
            answer = Answer("NOAP")
        verified_us = self._clock.now_us()
        told = VerificationResultDocument(
            verification_id=f"vop_{secrets.token_hex(12)}",
            result=answer.result,
            verified_at=moment_text(verified_us),
            responder=self._directory.responder,
            matched_name=answer.matched_name or None,
        )
        await self._stores.ask(self._keep, client, asked, number, told, verified_us)
        return told

    async def find(self, tenant: str, verification_id: str) -> VerificationResultDocument | None:
        """Return a result of a tenant's, without any name."""
        content = await self._stores.ask(self._stores.claims.kept, verification_id)
        kept = {} if content is None else json.loads(content)
        if kept.get("tenant") != tenant:
            return None
        return VerificationResultDocument(
            verification_id, kept["result"], moment_text(kept["verified_us"]), kept["responder"]
        )

    def _keep(
        self,
        client: Client,
        asked: VerificationDocument,
        number: str,
        told: VerificationResultDocument,
        verified_us: int,
    ) -> None:
        vault, claims, _ = self._stores
        (token,) = vault.tokens([Account(client.tenant, number)])
        vault.keep({told.verification_id: {"Asked": asked.name, "Matched": told.matched_name or ""}})
        kept = {
            "tenant": client.tenant,
            "client": client.name,
            "account": token,
            "agent": asked.agent,
            "result": told.result,
            "responder": told.responder,
            "verified_us": verified_us,
        }
        claims.keep(told.verification_id, json.dumps(kept).encode())


def _plain(name: str) -> str:
    """Return the words of a name in one order, without accents, punctuation and capitals."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    spaced = "".join(each if each.isalnum() else " " for each in letters if not unicodedata.combining(each))
    return " ".join(sorted(spaced.split()))
