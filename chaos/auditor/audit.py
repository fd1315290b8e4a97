"""The whole audit of one recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agents.streams import ALL_STREAMS
from chaos.auditor.invariants import Problem
from chaos.auditor.ledger import Ledger
from chaos.auditor.order import problems_of_order
from chaos.auditor.participants import Participants
from chaos.auditor.payments import payments_of, problems_of_payments
from chaos.auditor.reading import Reading, Recording
from chaos.workload import Order


def problems_of_recording(
    recording: Recording,
    orders: Mapping[str, Order],
    sent: Sequence[str],
    garbage: Sequence[bytes],
    participants: Participants,
) -> Iterator[Problem]:
    """Yield what is wrong with a world at rest.

    ``sent`` are the payments whose order the log has taken, ``garbage`` what it has taken that no agent can, as often
    as it was taken.
    """
    readings = {stream: Reading(recording, stream) for stream in ALL_STREAMS}
    payments = payments_of(readings, orders, garbage)
    yield from problems_of_payments(payments, orders, sent, garbage)
    yield from Ledger(readings, payments, orders, participants).problems()
    yield from problems_of_order(readings)
