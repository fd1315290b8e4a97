"""A stage as small as can be that uses everything the kernel has: payments, on a stream that is its own destination.

A payment is claimed once, counted, and settled - at once, or when its timer is due.  Settling debits the payer in the
cycle that is open and credits the payee by an event of its own, which carries the cycle.  Every second payment of a
payer is told to all shards.  Cut-offs come in under one key and are told to all shards too; a cycle that is final is
netted per account, and all nets of a cycle must sum to zero.  A second behaviour pays other payees.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pipeline.errors import InvariantViolation, Poison
from pipeline.kernel.agent import Behaviour, Context, Handlers, Stage
from pipeline.kernel.hashrange import HashRange
from pipeline.kernel.system_events import BehaviourActivated, CycleFinalised
from pipeline.kernel.tables import MessagePackValues, Tables

LEDGER = "ledger"
RESULTS = "results"
PARKED = "parked"

SECOND_US = 1_000_000
CYCLE_US = 100 * SECOND_US
ACCOUNTS = 31
HORIZON_US = 600 * SECOND_US
SKEW_US_MAX = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class Paid:
    """An order to pay, from an edge; ``number`` is its identity."""

    account: str
    number: int
    settle_after_us: int


@dataclass(frozen=True, slots=True)
class SettlementDue:
    """The timer of a payment that is settled later."""

    account: str
    number: int


@dataclass(frozen=True, slots=True)
class Credited:
    """The other side of a payment, in the cycle of its debit."""

    account: str
    number: int
    cycle: int


@dataclass(frozen=True, slots=True)
class PaymentsCounted:
    """Tells every shard how many payments an account has made."""

    account: str
    payments: int


@dataclass(frozen=True, slots=True)
class CutOffSet:
    """From an edge: when a cycle is cut off."""

    cycle: int
    at_us: int


@dataclass(frozen=True, slots=True)
class CutOffTold:
    """The same, told to every shard."""

    cycle: int
    at_us: int


@dataclass(frozen=True, slots=True)
class UpgradeAsked:
    """From an edge: let every shard behave as ``version`` says."""

    version: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A result: the ``place``-th payment of the account that was settled."""

    account: str
    number: int
    place: int
    cycle: int


@dataclass(frozen=True, slots=True)
class CreditTaken:
    """A result: the payee has the money."""

    account: str
    number: int


@dataclass(frozen=True, slots=True)
class Netted:
    """A result: credits less debits of an account in a cycle that is final."""

    account: str
    cycle: int
    net: int


_EVENTS = (
    Paid,
    SettlementDue,
    Credited,
    PaymentsCounted,
    CutOffSet,
    CutOffTold,
    UpgradeAsked,
    Settled,
    CreditTaken,
    Netted,
)
_FIRST_KIND = 256


class ToyCodec:
    """MessagePack, version 1."""

    def __init__(self) -> None:
        self._kinds = {event_type: kind for kind, event_type in enumerate(_EVENTS, _FIRST_KIND)}
        self._decoders: dict[int, msgspec.msgpack.Decoder[object]] = {
            kind: msgspec.msgpack.Decoder(event_type) for event_type, kind in self._kinds.items()
        }

    def encode(self, event: object) -> tuple[int, int, bytes]:
        return self._kinds[type(event)], 1, msgspec.msgpack.encode(event)

    def decode(self, kind: int, version: int, body: bytes) -> object:
        decoder = self._decoders.get(kind)
        if decoder is None or version != 1:
            raise Poison(f"unknown kind {kind}, version {version}")
        try:
            return decoder.decode(body)
        except msgspec.MsgspecError:
            raise Poison(f"kind {kind}: not its body") from None


@dataclass(frozen=True, slots=True)
class Account:
    """What an account did so far."""

    paid: int = 0
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Turnover:
    """Debits and credits of an account in a cycle."""

    account: str
    debits: int = 0
    credits: int = 0


def account_name(number: int) -> str:
    """Return the name of an account."""
    return f"account-{number}"


class Ledger:
    """The only agent."""

    def __init__(self, tables: Tables, stride: int) -> None:
        self._stride = stride
        self._accounts = tables.keyed(1, MessagePackValues(Account))
        self._turnovers = tables.keyed(2, MessagePackValues(Turnover))
        self._claims = tables.horizon(3, MessagePackValues(int), HORIZON_US)
        self._counted = tables.broadcast(4, MessagePackValues(int))

    def handlers(self) -> Handlers:
        return {
            Paid: self.pay,
            SettlementDue: self.settle_late,
            Credited: self.credit,
            PaymentsCounted: self.note_count,
            CutOffSet: self.tell_cut_off,
            CutOffTold: self.schedule_cut_off,
            UpgradeAsked: self.tell_upgrade,
            CycleFinalised: self.finalise,
        }

    def pay(self, payment: Paid, ctx: Context) -> None:
        claim = payment.number.to_bytes(8, "big")
        if self._claims.get(claim) is not None:
            return
        self._claims.put(payment.number, claim)
        account = self._accounts.get() or Account()
        account = Account(account.paid + 1, account.settled)
        self._accounts.put(account)
        if account.paid % 2 == 0:
            ctx.broadcast(LEDGER, PaymentsCounted(payment.account, account.paid))
        if payment.settle_after_us:
            ctx.set_timer(ctx.now_us + payment.settle_after_us, claim, SettlementDue(payment.account, payment.number))
        else:
            self._settle(payment.account, payment.number, ctx)

    def settle_late(self, due: SettlementDue, ctx: Context) -> None:
        self._settle(due.account, due.number, ctx)

    def credit(self, credited: Credited, ctx: Context) -> None:
        if ctx.cycles.is_finalised(ctx.hashed, credited.cycle):
            raise InvariantViolation(f"{credited} came after its cycle was final")
        turnover = self._turnover(credited.account, credited.cycle)
        self._keep(Turnover(credited.account, turnover.debits, turnover.credits + 1), credited.cycle)
        ctx.emit(RESULTS, credited.account, CreditTaken(credited.account, credited.number))

    def note_count(self, counted: PaymentsCounted, _ctx: Context) -> None:
        self._counted.put(counted.payments, counted.account.encode())

    def tell_cut_off(self, cut_off: CutOffSet, ctx: Context) -> None:
        ctx.broadcast(LEDGER, CutOffTold(cut_off.cycle, cut_off.at_us))

    def schedule_cut_off(self, cut_off: CutOffTold, ctx: Context) -> None:
        ctx.cycles.schedule(cut_off.cycle, cut_off.at_us)

    def tell_upgrade(self, asked: UpgradeAsked, ctx: Context) -> None:
        ctx.broadcast(LEDGER, BehaviourActivated(asked.version))

    def finalise(self, final: CycleFinalised, ctx: Context) -> None:
        piece = HashRange.from_bytes(final.first, final.last)
        for _, key, turnover in self._turnovers.scan(piece):
            if key == _cycle_key(final.cycle):
                net = turnover.credits - turnover.debits
                ctx.emit(RESULTS, turnover.account, Netted(turnover.account, final.cycle, net))

    def _settle(self, name: str, number: int, ctx: Context) -> None:
        cycle = ctx.cycles.open_cycle(ctx.hashed)
        turnover = self._turnover(name, cycle)
        self._keep(Turnover(name, turnover.debits + 1, turnover.credits), cycle)
        account = self._accounts.get() or Account()
        account = Account(account.paid, account.settled + 1)
        self._accounts.put(account)
        ctx.emit(RESULTS, name, Settled(name, number, account.settled, cycle))
        payee = account_name(number * self._stride % ACCOUNTS)
        ctx.emit(LEDGER, payee, Credited(payee, number, cycle))

    def _turnover(self, name: str, cycle: int) -> Turnover:
        return self._turnovers.get(_cycle_key(cycle)) or Turnover(name)

    def _keep(self, turnover: Turnover, cycle: int) -> None:
        self._turnovers.put(turnover, _cycle_key(cycle))


def _cycle_key(cycle: int) -> bytes:
    return cycle.to_bytes(8, "big")


def toy_stage() -> Stage:
    """Return the stage."""
    first = Behaviour(lambda tables: (Ledger(tables, 5),), skew_us_max=SKEW_US_MAX, head_every=10)
    second = Behaviour(lambda tables: (Ledger(tables, 7),), skew_us_max=SKEW_US_MAX, head_every=7)
    return Stage("ledger", LEDGER, (LEDGER, RESULTS), PARKED, ToyCodec(), {1: first, 2: second})
