"""Claim each order once.

A client that got no answer sends again, producers repeat, an operator re-drives a day: whatever the reason, an order
that was claimed is not processed a second time.  Same identity and same content is a repeat, and is answered with what
happened to the first; same identity and other content is a conflict, and is refused.  A claim says nothing about how
the order ended: an id that failed stays failed.

The claim is committed together with everything that the order causes, so neither ever exists without the other.

Claims are forgotten, so an order must never be taken in after its claim may be gone:

    claimed   not before  accepted - AHEAD_US_MAX                         what comes earlier is parked
    gone      not before  claimed + CLAIMS_REACH_US + AHEAD_US_MAX        a generation of claims
    refused   from        accepted + CLAIMS_REACH_US on                   which is not after it is gone

A claim that is still there answers first.  Where there is none, an order that is too old claims its identity and is
refused, once: whether it was executed is not known any more, and it may have been.  One that was accepted further ahead
of the shard's time than AHEAD_US_MAX is parked: no clock gives such an order, and a claim on it would be forgotten
while the order is young.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from agents.refusals import refuse
from agents.scheme_choice import first_scheme
from agents.streams import OUTCOMES
from agents.table_numbers import CLAIMS
from pipeline.errors import Poison
from pipeline.kernel.hashrange import hash_key
from schemas.events import CreditTransfer, PaymentConflicted, PaymentRepeated, PaymentSubmitted

if TYPE_CHECKING:
    from pipeline.kernel.agent import Context, Handlers
    from pipeline.kernel.tables import Tables

CLAIMS_REACH_US: Final = 86_400_000_000
"""How far back claims are complete; never less than the retention of stream ``payments``, which the start-up checks."""
AHEAD_US_MAX: Final = 300_000_000
"""How far an order's acceptance may be ahead of the shard's time: clocks differ."""

_DIGEST_BYTES = 16
_IDENTITY = blake2b(digest_size=_DIGEST_BYTES, person=b"order identity")
_CONTENT = blake2b(digest_size=_DIGEST_BYTES, person=b"order content")
_INSTITUTION_CHARACTERS = 8
_TOO_OLD = "accepted before the claims reach back: whether it was executed before is not known here any more"


class Claim(NamedTuple):
    """Who claimed an identity first, and with what content."""

    payment_id: str
    content: bytes


class ClaimCodec:
    """Codes claims for their table: the content's digest, then the payment id."""

    @staticmethod
    def encode(claim: Claim) -> bytes:
        """Return the bytes to keep."""
        return claim.content + claim.payment_id.encode()

    @staticmethod
    def decode(data: bytes) -> Claim:
        """Return the claim that :meth:`encode` wrote."""
        return Claim(data[_DIGEST_BYTES:].decode(), data[:_DIGEST_BYTES])


def identity_of(transfer: CreditTransfer) -> bytes:
    """Return 16 bytes that stand for the debtor's bank, the scheme's transaction identity and the debtor's account.

    The parts have no spaces, so no two identities read alike.  A bank is its BIC without the branch: the same order
    may be sent again with or without one.
    """
    debtor = transfer.debtor
    digest = _IDENTITY.copy()
    digest.update(f"{debtor.agent[:_INSTITUTION_CHARACTERS]} {transfer.transaction_id} {debtor.account}".encode())
    return digest.digest()


def content_of(transfer: CreditTransfer) -> bytes:
    """Return 16 bytes that stand for what the client ordered: no id of ours, and no time."""
    creditor, amount = transfer.creditor, transfer.amount
    digest = _CONTENT.copy()
    digest.update(
        f"{amount.minor} {amount.currency} {creditor.agent} {creditor.account} {transfer.end_to_end_id}"
        f" {transfer.uetr} {transfer.reference}".encode()  # only the last may have spaces
    )
    return digest.digest()


class Dedupe:
    """Claims orders on the shard of the debtor's account."""

    def __init__(self, tables: Tables) -> None:
        self._claims = tables.horizon(CLAIMS, ClaimCodec(), CLAIMS_REACH_US + AHEAD_US_MAX)

    def handlers(self) -> Handlers:
        """Return what this agent handles."""
        return {PaymentSubmitted: self.claim}

    def claim(self, payment: PaymentSubmitted, ctx: Context) -> PaymentSubmitted | None:
        """Return ``payment`` if it is the first of its identity; otherwise end it here."""
        transfer = payment.transfer
        if hash_key(transfer.debtor.account) != ctx.hashed:
            raise Poison("the order is not under the key of its debtor's account, where its claim would be")
        if transfer.accepted_us > ctx.now_us + AHEAD_US_MAX:
            ahead_s = (transfer.accepted_us - ctx.now_us) // 1_000_000
            raise Poison(f"the order was accepted {ahead_s} s ahead of the time that it is now")
        identity = identity_of(transfer)
        content = content_of(transfer)
        first = self._claims.get(identity)
        if first is not None:
            verdict = PaymentRepeated if first.content == content else PaymentConflicted
            ctx.emit(OUTCOMES, transfer.debtor.account, verdict(transfer.payment_id, of=first.payment_id))
            return None
        self._claims.put(Claim(transfer.payment_id, content), identity)
        if transfer.accepted_us < ctx.now_us - CLAIMS_REACH_US:
            reason = first_scheme(transfer.amount.currency).reasons.too_late_on_arrival
            refuse(transfer, reason, (_TOO_OLD,), ctx)
            return None
        return payment
