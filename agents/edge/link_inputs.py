"""What comes to the links from their two sides: a batch of the outbound stream, and the posts of participants."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from agents.edge.errors import EdgeError
from agents.edge.link_messages.reading import read_recall_refusal, read_reply, read_return
from agents.edge.link_messages.terms import RecallAnswer, Reply, UnusableMessageError
from agents.edge.reader import Arrived, event_of
from agents.edge.wire.port import Refusal
from pipeline.kernel.system_events import SourceEnded
from schemas.events import PaymentConfirmed, PaymentForwarded, RecallRequested, StatusRequested
from schemas.iso20022.message_name import CAMT_029, PACS_002, PACS_004
from schemas.iso20022.messages import Message
from schemas.iso20022.walk import Content


class Remainders(Protocol):
    """What messages said beside their events; a vault."""

    def remainders(self, ids: Sequence[str]) -> list[Content | None]:
        """Return what was kept of each payment, None where nothing was."""


class Incoming(NamedTuple):
    """The answers of one post, and who waits to hear that they are taken."""

    said: Sequence[tuple[int, Reply | RecallAnswer]]
    """Each with the number of its message in the post."""
    refusals: list[Refusal]
    taken: Future[list[Refusal]]


class Outbound:
    """What a batch of the outbound stream asks the links to do."""

    def __init__(self, arrived: Sequence[Arrived]) -> None:
        self.payments: list[PaymentForwarded] = []
        self.confirmations: list[PaymentConfirmed] = []
        self.questions: list[StatusRequested] = []
        self.recalls: list[RecallRequested] = []
        for record in arrived:
            if record.envelope is None:
                raise EdgeError(f"{record.stream}/{record.shard_id}: record {record.position} is no envelope")
            match event_of(record.envelope):
                case PaymentForwarded() as payment:
                    self.payments.append(payment)
                case PaymentConfirmed() as confirmation:
                    self.confirmations.append(confirmation)
                case StatusRequested() as question:
                    self.questions.append(question)
                case RecallRequested() as recall:
                    self.recalls.append(recall)
                case SourceEnded():
                    pass
                case other:
                    message = f"{record.stream}/{record.shard_id}: record {record.position} is a {type(other).__name__}"
                    raise EdgeError(f"{message}, which no participant understands")


def said_in(message: Message) -> Reply | RecallAnswer:
    """Return what a participant's message says, or raise ``UnusableMessageError``."""
    read = None if message.name is None else _READERS.get(message.name.family)
    if read is None:
        raise UnusableMessageError(message.path, "message", f"{message.name} is nothing that a participant answers")
    return read(message)


_READERS: Final[Mapping[str, Callable[[Message], Reply | RecallAnswer]]] = {
    PACS_002.family: read_reply,
    PACS_004.family: read_return,
    CAMT_029.family: read_recall_refusal,
}
