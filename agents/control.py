"""What everybody must hear enters one shard, and is broadcast from there.

So every shard hears it in the same order, a shard that is born later inherits it, and no tool ever has to find out
which shards there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.streams import CLEARING, PAYMENTS
from pipeline.errors import Poison
from pipeline.kernel.system_events import BehaviourActivated
from schemas.events import (
    BehaviourOrdered,
    CutOffScheduled,
    CycleSettled,
    ParticipantAvailabilityChanged,
    ParticipantListed,
)

if TYPE_CHECKING:
    from pipeline.kernel.agent import Context, Handlers

_STREAM_OF_STAGE = {"authorise": PAYMENTS, "settle": CLEARING}


class Control:
    """The only agent of the control stage."""

    def handlers(self) -> Handlers:
        """Return what this agent handles."""
        return {
            ParticipantListed: self.tell_both,
            ParticipantAvailabilityChanged: self.tell_both,
            CutOffScheduled: self.tell_clearing,
            CycleSettled: self.tell_clearing,
            BehaviourOrdered: self.activate,
        }

    def tell_both(self, event: object, ctx: Context) -> None:
        """Tell the hub and the clearing."""
        ctx.broadcast(PAYMENTS, event)
        ctx.broadcast(CLEARING, event)

    def tell_clearing(self, event: object, ctx: Context) -> None:
        """Tell the clearing."""
        ctx.broadcast(CLEARING, event)

    def activate(self, order: BehaviourOrdered, ctx: Context) -> None:
        """Let every shard of a stage behave as the order says, from where it reads this on."""
        stream = _STREAM_OF_STAGE.get(order.stage)
        if stream is None:
            raise Poison(f"no stage {order.stage!r} takes orders; {' and '.join(_STREAM_OF_STAGE)} do")
        ctx.broadcast(stream, BehaviourActivated(order.version))
