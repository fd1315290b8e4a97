"""What the metrics may say of payments: which outputs are outcomes, and how long a decision took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.observe.application import ApplicationView
from schemas import codec, events

if TYPE_CHECKING:
    from pipeline.kernel.agent import Output

OUTCOME_OF_EVENT: Final[dict[type, str]] = {
    events.PaymentAuthorised: "authorised",
    events.PaymentSettled: "settled",
    events.PaymentRejected: "rejected",
    events.PaymentExpired: "expired",
    events.PaymentHeld: "held",
    events.PaymentRepeated: "repeated",
    events.PaymentConflicted: "conflicted",
    events.PaymentUnknown: "unknown",
}
OUTCOME_OF_KIND: Final = {
    kind: OUTCOME_OF_EVENT[event_type] for kind, event_type in codec.KINDS.items() if event_type in OUTCOME_OF_EVENT
}


def decision_latency_us(_output: Output, _now_us: int) -> int | None:
    """Return how long the decision in ``output`` took since the payment was accepted, or None if it is none."""
    return None


APPLICATION_VIEW: Final = ApplicationView(OUTCOME_OF_KIND, decision_latency_us)
