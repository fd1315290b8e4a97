"""The process of the simulated participants: an inbox for what the clearing posts, and turns that post the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from agents.edge.participants import SimulatedParticipants
from agents.edge.process import Stop, Turns, run_process
from agents.edge.wire.http_wire import HttpWire
from agents.edge.wire.inbox import Inbox

if TYPE_CHECKING:
    from pathlib import Path

    from agents.edge.participant_answers import Manners
    from pipeline.ports import Clock

IDLE_SECONDS: Final = 0.005


class ParticipantsPlan(NamedTuple):
    """Where the participants are, and how they answer."""

    data: Path
    host: str
    port: int
    clearing: str
    """The address of the links' inbox."""
    seed: int
    manners: Manners
    seconds: float | None


def run_participants(plan: ParticipantsPlan) -> int:
    """Be the participants until SIGTERM; return the exit code."""
    return run_process(lambda clock, stop: _main(clock, stop, plan))


async def _main(clock: Clock, stop: Stop, plan: ParticipantsPlan) -> None:
    wire = HttpWire()
    participants = SimulatedParticipants(plan.data, clock, wire, plan.clearing, plan.seed, plan.manners)
    inbox = Inbox(participants.take)
    try:
        await inbox.open(plan.host, plan.port)
        await Turns(clock, stop, plan.seconds, IDLE_SECONDS).run(participants.turn)
    finally:
        await inbox.close()
        await participants.close()
        await wire.close()
