"""Orders as pacs.008: one message of one transaction, of the version that the schemes are on."""

from __future__ import annotations

from agents.edge.gateway.orders import ClaimIdentity, Order, make_order, refuse
from schemas.errors import Fault
from schemas.iso20022.errors import UnreadableDocumentError
from schemas.iso20022.message_name import PACS_008
from schemas.iso20022.messages import read_messages


def read_order(body: bytes, identity: ClaimIdentity, received_us: int, verification_id: str) -> Order:
    """Return the order in a pacs.008; raise ``Problem`` naming each fault by its path."""
    try:
        messages = read_messages(body)
    except UnreadableDocumentError as failure:
        raise refuse("FF01", Fault("", "document", str(failure))) from None
    message = messages[0]
    if len(messages) > 1:
        raise refuse("FF01", Fault(messages[1].path, "document", "is a second message; one is taken at a time"))
    if message.name != PACS_008:
        raise refuse("FF01", Fault(message.path, "message", f"is {message.name}; an order is a {PACS_008}"))
    if message.faults:
        raise refuse("FF01", *message.faults)
    return make_order(message, identity, received_us, verification_id, paths={})
