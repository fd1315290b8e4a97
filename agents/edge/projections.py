"""What each outcome means to the projector's tables: pure functions from an event to rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agents.edge.projector_store import Changes, Heading, NoticeKind, NoticeRow, PaymentRow, Status
from agents.streams import PAYMENTS
from pipeline.errors import Poison
from pipeline.kernel.envelope import FROM_EDGE, Envelope, decode
from pipeline.kernel.position import Source
from pipeline.kernel.system_events import Parked, SourceEnded, type_of_kind
from schemas import codec, events

_AUTHORISED: Final = next(kind for kind, event_type in codec.KINDS.items() if event_type is events.PaymentAuthorised)


def is_submission(envelope: Envelope | None) -> bool:
    """Say whether a record of the payments stream is something that a client submitted, readable or not."""
    return envelope is None or (envelope.origin == FROM_EDGE and envelope.kind not in type_of_kind)


def project(event: object, heading: Heading, changes: Changes) -> None:
    """Add what ``event`` means to ``changes``; raise ``Poison`` if the projector does not know such events."""
    projection = _PROJECTIONS.get(type(event))
    if projection is None:
        raise Poison(f"the projector does not know what a {type(event).__name__} means")
    projection(event, heading, changes)


def _settled(event: events.PaymentSettled, heading: Heading, changes: Changes) -> None:
    changes.payments.append(
        PaymentRow(
            event.payment_id,
            Status.SETTLED,
            heading,
            minor=event.amount.minor,
            currency=event.amount.currency,
            debtor_settlement_account=event.debtor_settlement_account,
            creditor_settlement_account=event.creditor_settlement_account,
            cycle=event.cycle,
            accepted_us=event.accepted_us,
        )
    )


def _rejected(event: events.PaymentRejected, heading: Heading, changes: Changes) -> None:
    detail = "; ".join((event.refused_by, *event.explanations))
    row = PaymentRow(event.payment_id, Status.REJECTED, heading, event.reason, detail, accepted_us=event.accepted_us)
    changes.payments.append(row)


def _expired(event: events.PaymentExpired, heading: Heading, changes: Changes) -> None:
    changes.payments.append(
        PaymentRow(event.payment_id, Status.EXPIRED, heading, event.reason, accepted_us=event.accepted_us)
    )


def _held(event: events.PaymentHeld, heading: Heading, changes: Changes) -> None:
    detail = "; ".join(event.explanations)
    changes.payments.append(
        PaymentRow(event.payment_id, Status.HELD, heading, "", detail, accepted_us=event.accepted_us)
    )


def _unknown(event: events.PaymentUnknown, heading: Heading, changes: Changes) -> None:
    changes.payments.append(
        PaymentRow(
            event.payment_id,
            Status.UNKNOWN,
            heading,
            detail=event.counterparty,
            minor=event.amount.minor,
            currency=event.amount.currency,
        )
    )


def _repeated(event: events.PaymentRepeated, heading: Heading, changes: Changes) -> None:
    changes.notices.append(NoticeRow(NoticeKind.REPEATED, heading, event.payment_id, event.of))
    _stand_behind_another(event.payment_id, event.of, Status.REPEATED, heading, changes)


def _conflicted(event: events.PaymentConflicted, heading: Heading, changes: Changes) -> None:
    changes.notices.append(NoticeRow(NoticeKind.CONFLICT, heading, event.payment_id, event.of))
    _stand_behind_another(event.payment_id, event.of, Status.CONFLICT, heading, changes)


def _stand_behind_another(payment_id: str, of: str, status: Status, heading: Heading, changes: Changes) -> None:
    """Say how a payment stands that is not carried out because of another; its own repeat says nothing new."""
    if payment_id != of:
        changes.payments.append(PaymentRow(payment_id, status, heading, detail=of))


def _parked(event: Parked, heading: Heading, changes: Changes) -> None:
    """Note a parked record; one that was too large to be kept with its note is one that a client submitted."""
    try:
        parked: Envelope | None = decode(event.record)
    except Poison:
        parked = None
    stream = Source.unpack(event.source.encode()).stream
    ends_a_payment = is_submission(parked) if stream == PAYMENTS else parked is not None and parked.kind == _AUTHORISED
    where = f"{event.source} {event.position}"
    changes.notices.append(NoticeRow(NoticeKind.PARKED, heading, "", where, event.reason, submission=ends_a_payment))


def _recalled(event: events.RecallAnswered, heading: Heading, changes: Changes) -> None:
    notice = NoticeRow(
        NoticeKind.RECALLED, heading, event.payment_id, event.return_payment_id, event.reason, submission=False
    )
    changes.notices.append(notice)


def _netted(event: events.CycleNetted, _heading: Heading, changes: Changes) -> None:
    changes.positions += [(event.cycle, event.first, p.account, p.currency, p.net_minor) for p in event.positions]


def _nothing(_event: SourceEnded, _heading: Heading, _changes: Changes) -> None:
    """Change nothing: that a shard has ended says nothing about payments."""


_PROJECTIONS: Final[dict[type, Callable[[Any, Heading, Changes], None]]] = {
    events.PaymentSettled: _settled,
    events.PaymentRejected: _rejected,
    events.PaymentExpired: _expired,
    events.PaymentHeld: _held,
    events.PaymentUnknown: _unknown,
    events.PaymentRepeated: _repeated,
    events.PaymentConflicted: _conflicted,
    events.RecallAnswered: _recalled,
    events.CycleNetted: _netted,
    Parked: _parked,
    SourceEnded: _nothing,
}
