"""What the two sides of a link speak of."""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.money import Money

ACCEPTED: Final = "ACCP"
"""What a receiving participant says to a payment that it takes."""
SETTLED: Final = "ACSC"
"""What the clearing says of a payment that was posted."""
REJECTED: Final = "RJCT"
RECALL_REFUSED: Final = "RJCR"
FOLLOWING_A_RECALL: Final = "FOCR"
"""Why a payment is returned."""
ACCEPTANCES: Final = frozenset({ACCEPTED, SETTLED, "ACWP"})
"""What counts as an acceptance; a foreign clearing that is asked says that the payment is settled."""
CYCLE: Final = "cycle "
"""Before its number, in what the clearing says of a payment that was posted."""
NEVER_RECEIVED: Final = "AG09"
"""ISO 20022: the original was never received."""


class Transaction(NamedTuple):
    """How the two sides of a link name a payment."""

    instructing_agent: str
    transaction_id: str
    responder: str


class Reply(NamedTuple):
    """What a participant says of a payment that it was sent, or asked about."""

    transaction: Transaction
    accepted: bool
    reason: str
    """Empty when accepted."""
    original: str
    """The message that it answers, by its MsgId; empty where none is named."""


class ReceivedPayment(NamedTuple):
    """A payment as its receiving participant has it from the message."""

    transaction: Transaction
    scheme: str
    amount: Money
    accepted_us: int
    message_id: str


class Question(NamedTuple):
    """A status request."""

    transaction: Transaction
    message_id: str


class Confirmation(NamedTuple):
    """How a payment ended, as one of its two participants is told."""

    recipient: str
    reference: str
    """What the clearing calls the instruction: two under one transaction id are two, and one of them is refused."""
    instructing_agent: str
    transaction_id: str
    settled: bool
    reason: str
    cycle: str
    """As the clearing names it; empty when it was not posted."""


class Recall(NamedTuple):
    """A sender's wish to have a payment back, as its receiver has it from the message."""

    transaction: Transaction
    recall_id: str
    amount: Money


class RecallAnswer(NamedTuple):
    """What the receiver of a payment says to a recall of it."""

    transaction: Transaction
    reason: str
    """ISO 20022's code: why not, or FOCR."""
    returned: Return | None


class Return(NamedTuple):
    """The transfer back."""

    return_id: str
    amount: Money


class UnusableMessageError(ValueError):
    """A valid message that is not for whom it came to, or not enough."""

    def __init__(self, path: str, rule: str, message: str) -> None:
        self.path, self.rule, self.message = path, rule, message
        super().__init__(f"{path}: {message} [{rule}]")
