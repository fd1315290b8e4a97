"""Two builds of the product: the one that there is, and the next, which knows one more behaviour of each stage.

The next behaviour differs in what can be seen from outside: when a silent foreign participant is asked again, and how
often a chain head is kept.  So two owners of a shard that did not change at the same record would fork.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from agents.directory import Directory
from agents.settlement.agent import Settlement
from agents.settlement.limits import LIMITS
from agents.topology import AUTHORISE, CONTROL, SETTLE
from chaos.virtual_time import SECOND_US, VirtualTime
from pipeline.kernel.agent import Agent, Stage
from pipeline.kernel.tables import Tables
from schemas.schemes.catalogue import SCHEMES

Build = Mapping[str, Stage]
NEXT_VERSION = 2
NEXT_LIMITS = replace(LIMITS, status_requests_after_us=(5 * SECOND_US, 90 * SECOND_US, 600 * SECOND_US))


@dataclass(frozen=True, slots=True)
class Builds:
    """What the machines of the fleet run, by the name of the stage."""

    old: Build
    new: Build


def settle_agents_of_the_next_behaviour(tables: Tables) -> tuple[Agent, ...]:
    """Return the agents of the clearing as the next behaviour has them."""
    directory = Directory(tables)
    return directory, Settlement(tables, directory, SCHEMES, NEXT_LIMITS)


def builds_of(control: Stage, authorise: Stage, settle: Stage) -> Builds:
    """Return the build of these stages, and the next."""
    first = authorise.behaviours[1]
    next_authorise = replace(first, head_every=300)
    next_settle = replace(settle.behaviours[1], agents=settle_agents_of_the_next_behaviour, head_every=300)
    old = {stage.name: stage for stage in (control, authorise, settle)}
    new = {
        control.name: control,
        authorise.name: replace(authorise, behaviours={1: first, NEXT_VERSION: next_authorise}),
        settle.name: replace(settle, behaviours={1: settle.behaviours[1], NEXT_VERSION: next_settle}),
    }
    return Builds(old, new)


def product(_time: VirtualTime) -> Builds:
    """Return the product as it is: it asks nobody what time it is."""
    return builds_of(CONTROL, AUTHORISE, SETTLE)


Product = Callable[[VirtualTime], Builds]
