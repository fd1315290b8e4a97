"""The life of one payment at the clearing, as a table, and who has claimed which identity.

An order is refused, and never forwarded, or it is forwarded; from there ``TRANSITIONS`` is the whole state machine.
An answer without a row in it contradicts what was answered or decided before: it is parked, and money is untouched.

    FORWARDED -> SETTLED                   accepted in time
              -> REJECTED                  refused by the receiving side
              -> EXPIRED                   our clock was first; a late answer is noted and moves nothing
              -> UNKNOWN                   a foreign rail was silent: limbo, asked until it answers
                 UNKNOWN -> SETTLED | REJECTED

A payment is known by its instructing participant and that participant's transaction id, the scheme's identity; its
UETR is claimed beside it.  While a payment is open its claims lie with it; when it has ended, however it ended, they
stay for a horizon, so that an id that failed stays failed.  The horizon is far longer than any scheme's clock: an
order that is older than its claims may be is too old to be taken at all.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from agents.table_numbers import CLEARED, CLEARED_UETRS, OPEN_UETRS, TRANSFERS
from pipeline.errors import InvariantViolation
from pipeline.kernel.tables import MessagePackValues, Tables
from schemas.events import AnswerDeadlinePassed, PaymentAuthorised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.kernel.agent import Context


NO_CYCLE: Final = -1
"""Of a payment that was not posted."""
NEVER: Final = -1
"""When nobody asks any more."""


class State(StrEnum):
    """Where a payment stands."""

    FORWARDED = "forwarded"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    EXPIRED_ACCEPTED = "expired, accepted late"
    EXPIRED_REJECTED = "expired, rejected late"
    REFUSED = "refused"


class Stimulus(StrEnum):
    """What can happen to a payment that was taken."""

    ACCEPTANCE = "acceptance"
    REJECTION = "rejection"
    DEADLINE = "deadline"
    """No answer in time, and our clock decides."""
    SILENCE = "silence"
    """No answer in time, and a foreign rail decides."""


class Effect(StrEnum):
    """What is done about it, besides the change of state."""

    POST = "post"
    RELEASE = "release"
    EXPIRE = "expire"
    ENTER_LIMBO = "enter limbo"
    ASK_AGAIN = "ask again"
    CONFIRM_AGAIN = "confirm again"
    NONE = "none"


class Transition(NamedTuple):
    """A row of the table."""

    to: State
    effect: Effect


TRANSITIONS: Final[Mapping[tuple[State, Stimulus], Transition]] = {
    (State.FORWARDED, Stimulus.ACCEPTANCE): Transition(State.SETTLED, Effect.POST),
    (State.FORWARDED, Stimulus.REJECTION): Transition(State.REJECTED, Effect.RELEASE),
    (State.FORWARDED, Stimulus.DEADLINE): Transition(State.EXPIRED, Effect.EXPIRE),
    (State.FORWARDED, Stimulus.SILENCE): Transition(State.UNKNOWN, Effect.ENTER_LIMBO),
    (State.UNKNOWN, Stimulus.ACCEPTANCE): Transition(State.SETTLED, Effect.POST),
    (State.UNKNOWN, Stimulus.REJECTION): Transition(State.REJECTED, Effect.RELEASE),
    (State.UNKNOWN, Stimulus.SILENCE): Transition(State.UNKNOWN, Effect.ASK_AGAIN),
    (State.SETTLED, Stimulus.ACCEPTANCE): Transition(State.SETTLED, Effect.CONFIRM_AGAIN),
    (State.REJECTED, Stimulus.REJECTION): Transition(State.REJECTED, Effect.NONE),
    (State.EXPIRED, Stimulus.ACCEPTANCE): Transition(State.EXPIRED_ACCEPTED, Effect.CONFIRM_AGAIN),
    (State.EXPIRED, Stimulus.REJECTION): Transition(State.EXPIRED_REJECTED, Effect.NONE),
    (State.EXPIRED_ACCEPTED, Stimulus.ACCEPTANCE): Transition(State.EXPIRED_ACCEPTED, Effect.CONFIRM_AGAIN),
    (State.EXPIRED_REJECTED, Stimulus.REJECTION): Transition(State.EXPIRED_REJECTED, Effect.NONE),
}


class Identity(NamedTuple):
    """The scheme's identity of a payment."""

    instructing_agent: str
    transaction_id: str

    @property
    def key(self) -> bytes:
        """The key of everything that is kept about the payment; no BIC has a slash."""
        return f"{self.instructing_agent}/{self.transaction_id}".encode()


class OpenTransfer(msgspec.Struct, frozen=True, array_like=True):
    """A payment that holds a reservation: forwarded, or in limbo."""

    state: State
    order: PaymentAuthorised
    deadline_us: int
    due_us: int
    """When its timer fires: at the deadline, later when a foreign rail is asked again, or ``NEVER``."""
    times_asked: int = 0

    @property
    def identity(self) -> Identity:
        """The scheme's identity of the payment."""
        return identity_of(self.order)

    @property
    def payment_id(self) -> str:
        """Ours."""
        return self.order.transfer.payment_id

    @property
    def responder(self) -> str:
        """The participant that may answer."""
        return self.order.transfer.creditor.agent


class ClearedTransfer(msgspec.Struct, frozen=True, array_like=True):
    """A payment that has ended: what is needed to answer repeats of it."""

    state: State
    payment_id: str
    fingerprint: bytes
    responder: str
    reason: str = ""
    """The scheme's code of why no money moved; empty when it did."""
    cycle: int = NO_CYCLE
    """The cycle it was posted in."""


OPEN_TRANSFERS: Final = MessagePackValues(OpenTransfer)
_CLEARED_TRANSFERS = MessagePackValues(ClearedTransfer)
_PAYMENT_IDS = MessagePackValues(str)


def transition_of(state: State, stimulus: Stimulus) -> Transition | None:
    """Return the row of the table, or None where there is none."""
    return TRANSITIONS.get((state, stimulus))


def identity_of(order: PaymentAuthorised) -> Identity:
    """Return the scheme's identity of the payment."""
    return Identity(order.transfer.debtor.agent, order.transfer.transaction_id)


def fingerprint(order: PaymentAuthorised) -> bytes:
    """Return 16 bytes of all that a resend keeps; our own payment id and the hub's findings are not part of it."""
    transfer = order.transfer
    content = (
        order.scheme,
        transfer.uetr,
        transfer.end_to_end_id,
        transfer.debtor,
        transfer.creditor,
        transfer.amount,
        transfer.accepted_us,
        transfer.reference,
    )
    return sha256(msgspec.msgpack.encode(content)).digest()[:16]


def ended_as(state: State, order: PaymentAuthorised, reason: str, cycle: int = NO_CYCLE) -> ClearedTransfer:
    """Return what is kept of an order that has ended."""
    transfer = order.transfer
    return ClearedTransfer(state, transfer.payment_id, fingerprint(order), transfer.creditor.agent, reason, cycle)


class Transfers:
    """The payments of a shard, open and ended, and the identities they have claimed."""

    def __init__(self, tables: Tables, claims_horizon_us: int) -> None:
        self._open = tables.keyed(TRANSFERS, OPEN_TRANSFERS)
        self._open_uetrs = tables.keyed(OPEN_UETRS, _PAYMENT_IDS)
        self._cleared = tables.horizon(CLEARED, _CLEARED_TRANSFERS, claims_horizon_us)
        self._cleared_uetrs = tables.horizon(CLEARED_UETRS, _PAYMENT_IDS, claims_horizon_us)

    def find(self, identity: Identity) -> OpenTransfer | ClearedTransfer | None:
        """Return the payment that has claimed ``identity``, or None."""
        return self._open.get(identity.key) or self._cleared.get(identity.key)

    def find_open(self, identity: Identity) -> OpenTransfer | None:
        """Return the payment under ``identity`` if it holds a reservation."""
        return self._open.get(identity.key)

    def holders(self, order: PaymentAuthorised) -> list[str]:
        """Return the ids of the payments that have claimed the identity of ``order``, or its UETR."""
        first = self.find(identity_of(order))
        of_identity = None if first is None else first.payment_id
        of_uetr = self._holder_of_uetr(order.transfer.uetr.encode())
        return [holder for holder in (of_identity, of_uetr) if holder is not None]

    def wait(self, transfer: OpenTransfer, ctx: Context) -> None:
        """Keep an open payment, its claims, and the timer that it waits for."""
        self._open.put(transfer, transfer.identity.key)
        self._open_uetrs.put(transfer.payment_id, transfer.order.transfer.uetr.encode())
        if transfer.due_us != NEVER:
            ctx.set_timer(transfer.due_us, transfer.identity.key, AnswerDeadlinePassed(*transfer.identity))

    def close(
        self, transfer: OpenTransfer, state: State, reason: str, ctx: Context, cycle: int = NO_CYCLE
    ) -> ClearedTransfer:
        """Move a payment from the open ones to those that have ended, and return it."""
        key, uetr = transfer.identity.key, transfer.order.transfer.uetr.encode()
        if self._open.get(key) is None:
            raise InvariantViolation(f"payment {transfer.payment_id}: it would end as {state}, but is not open")
        ended = ended_as(state, transfer.order, reason, cycle)
        ctx.cancel_timer(key)
        self._open.delete(key)
        self._open_uetrs.delete(uetr)
        self._cleared.put(ended, key)
        self._cleared_uetrs.put(transfer.payment_id, uetr)
        return ended

    def refuse(self, order: PaymentAuthorised, reason: str) -> ClearedTransfer:
        """Claim for a refused order what no other has claimed: an id that failed stays failed.  Return it as ended."""
        ended = ended_as(State.REFUSED, order, reason)
        identity, uetr = identity_of(order), order.transfer.uetr.encode()
        if self.find(identity) is None:
            self._cleared.put(ended, identity.key)
        if self._holder_of_uetr(uetr) is None:
            self._cleared_uetrs.put(ended.payment_id, uetr)
        return ended

    def note(self, identity: Identity, ended: ClearedTransfer) -> None:
        """Keep what a late answer changed about a payment that has ended."""
        self._cleared.put(ended, identity.key)

    def _holder_of_uetr(self, uetr: bytes) -> str | None:
        return self._open_uetrs.get(uetr) or self._cleared_uetrs.get(uetr)
