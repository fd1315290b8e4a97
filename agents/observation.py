"""What the metrics say of payments: what became of them, how long decisions took, what is in limbo.

Limbo is a fact of the state, and is counted so: from the transfers that a shard held when it was taken over, and from
then on by what it puts out.  The rest is rates.  All of this runs for every record, so records are looked into only
where the envelope does not say enough.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from agents.settlement.transfers import OPEN_TRANSFERS, State
from agents.streams import CLEARING
from agents.table_numbers import TRANSFERS
from pipeline.kernel.envelope import decode
from pipeline.kernel.hashrange import FULL_RANGE
from pipeline.kernel.tables import Scope, Tables
from pipeline.observe import metric_defs as defs
from schemas import codec, events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.kernel.agent import Output
    from pipeline.observe.metrics import Metrics
    from pipeline.ports import Record, StateStore
    from pipeline.shard import Shard
    from schemas.money import Money

OUTCOMES: Final[dict[type, str]] = {
    events.PaymentAuthorised: "authorised",
    events.PaymentSettled: "settled",
    events.PaymentRejected: "rejected",
    events.PaymentExpired: "expired",
    events.PaymentHeld: "held",
    events.PaymentRepeated: "repeated",
    events.PaymentConflicted: "conflicted",
    events.PaymentUnknown: "unknown",
}
"""The events that say what became of a payment, and what to call it.  One that is authorised is on its way."""

_KIND = slice(2, 4)
_EVENT_TIME = slice(8, 16)
_US_PER_SECOND = 1_000_000


def _kind_of(event_type: type) -> bytes:
    return next(kind for kind, known in codec.KINDS.items() if known is event_type).to_bytes(2, "big")


_OUTCOME_OF_KIND: Final = {_kind_of(event_type): outcome for event_type, outcome in OUTCOMES.items()}
_SUBMITTED: Final = _kind_of(events.PaymentSubmitted)
_UNKNOWN: Final = _kind_of(events.PaymentUnknown)
_ENDS_LIMBO: Final = frozenset({_kind_of(events.PaymentSettled), _kind_of(events.PaymentRejected)})


class PaymentMeter:
    """The payments of one shard; an ``ApplicationMeter``."""

    def __init__(self, metrics: Metrics, shard: Shard, shard_id: str) -> None:
        stage = shard.stage.name
        self._outcomes = {
            kind: metrics.counter(defs.OUTCOMES, stage, outcome) for kind, outcome in _OUTCOME_OF_KIND.items()
        }
        self._decision = metrics.histogram(defs.DECISION, stage)
        self._limbo = Limbo(metrics, stage, shard_id)
        if shard.stage.source_stream == CLEARING:
            for payment_id, amount in unknown_payments(shard.store):
                self._limbo.enter(payment_id, amount)

    def count(self, records: Sequence[Record], outputs: Sequence[Output], now_us: int) -> None:
        """Count a batch; a payment submitted was decided with the batch that took it in."""
        for record in records:
            for user_record in record.user_records:
                if user_record[_KIND] == _SUBMITTED:
                    submitted_us = int.from_bytes(user_record[_EVENT_TIME], "big", signed=True)
                    self._decision.observe((now_us - submitted_us) / _US_PER_SECOND)
        outcomes: dict[bytes, int] = {}
        for output in outputs:
            kind = output.record[_KIND]
            if kind in _OUTCOME_OF_KIND:
                outcomes[kind] = outcomes.get(kind, 0) + 1
                if kind == _UNKNOWN or (kind in _ENDS_LIMBO and self._limbo):
                    self._limbo.see(_event(output))
        for kind, count in outcomes.items():
            self._outcomes[kind].inc(count)

    def forget(self) -> None:
        """Show nothing in limbo here any more."""
        self._limbo.clear()


class Limbo:
    """The payments of one shard whose outcome is unknown."""

    def __init__(self, metrics: Metrics, stage: str, shard_id: str) -> None:
        self._metrics = metrics
        self._labels = (stage, shard_id)
        self._amounts: dict[str, Money] = {}
        self._currencies: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._amounts)

    def see(self, event: object) -> None:
        """Take in an outcome."""
        if isinstance(event, events.PaymentUnknown):
            self.enter(event.payment_id, event.amount)
        elif isinstance(event, events.PaymentSettled | events.PaymentRejected) and event.payment_id in self._amounts:
            del self._amounts[event.payment_id]
            self._show()

    def enter(self, payment_id: str, amount: Money) -> None:
        """Take in a payment whose outcome is unknown."""
        self._amounts[payment_id] = amount
        self._currencies[amount.currency] = None
        self._show()

    def clear(self) -> None:
        """Show nothing any more."""
        for currency in self._currencies:
            self._metrics.forget(defs.LIMBO, *self._labels, currency)
            self._metrics.forget(defs.LIMBO_MINOR_UNITS, *self._labels, currency)

    def _show(self) -> None:
        count: dict[str, int] = defaultdict(int)
        value: dict[str, int] = defaultdict(int)
        for amount in self._amounts.values():
            count[amount.currency] += 1
            value[amount.currency] += amount.minor
        for currency in self._currencies:
            self._metrics.gauge(defs.LIMBO, *self._labels, currency).set(count[currency])
            self._metrics.gauge(defs.LIMBO_MINOR_UNITS, *self._labels, currency).set(value[currency])


def unknown_payments(store: StateStore) -> Iterator[tuple[str, Money]]:
    """Return id and amount of every payment in limbo in the state of a clearing shard."""
    transfers = Tables(Scope(0), store, cached_per_table=0).keyed(TRANSFERS, OPEN_TRANSFERS)
    for _, _, transfer in transfers.scan(FULL_RANGE):
        if transfer.state is State.UNKNOWN:
            yield transfer.payment_id, transfer.order.transfer.amount


def _event(output: Output) -> object:
    envelope = decode(output.record)
    return codec.decode(envelope.kind, envelope.version, envelope.body)
