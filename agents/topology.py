"""Who reads what: every stage, its source, its destinations and its agents by behaviour version.

A behaviour is for ever: records that were handled under a version must give the same outputs when they are read again.
What changes an output - an agent, a limit, a threshold, a profile - is a new version here, activated by an event.
"""

from __future__ import annotations

from typing import Final

from agents import streams
from agents.control import Control
from agents.dedupe import CLAIMS_REACH_US, Dedupe
from agents.directory import Directory
from agents.event_codec import EventCodec
from agents.fraud.agent import Fraud
from agents.routing import Routing
from agents.settlement.agent import Settlement
from agents.settlement.limits import LIMITS
from pipeline.kernel.agent import Agent, Behaviour, Stage
from pipeline.kernel.tables import Tables
from schemas.events import ParticipantAnswered, PaymentSubmitted
from schemas.schemes.catalogue import SCHEMES


def _authorise_agents(tables: Tables) -> tuple[Agent, ...]:
    directory = Directory(tables)
    return directory, Dedupe(tables), Fraud(tables, directory), Routing()


def _settle_agents(tables: Tables) -> tuple[Agent, ...]:
    directory = Directory(tables)
    return directory, Settlement(tables, directory, SCHEMES)


def _control_agents(_tables: Tables) -> tuple[Agent, ...]:
    return (Control(),)


AUTHORISE: Final = Stage(
    name="authorise",
    source_stream=streams.PAYMENTS,
    destinations=(streams.PAYMENTS, streams.CLEARING, streams.OUTCOMES),
    parked_stream=streams.PARKED,
    codec=EventCodec(),
    behaviours={1: Behaviour(_authorise_agents, frozenset({PaymentSubmitted}), CLAIMS_REACH_US)},
)
"""The sending hub: deduplicate, score, route."""

SETTLE: Final = Stage(
    name="settle",
    source_stream=streams.CLEARING,
    destinations=(streams.CLEARING, streams.PAYMENTS, streams.OUTBOUND, streams.OUTCOMES),
    parked_stream=streams.PARKED,
    codec=EventCodec(),
    behaviours={1: Behaviour(_settle_agents, frozenset({ParticipantAnswered}), LIMITS.claims_horizon_us)},
)
"""The clearing and settlement mechanism: reserve, forward, post or release, net."""

CONTROL: Final = Stage(
    name="control",
    source_stream=streams.CONTROL,
    destinations=(streams.PAYMENTS, streams.CLEARING),
    parked_stream=streams.PARKED,
    codec=EventCodec(),
    behaviours={1: Behaviour(_control_agents, frozenset(Control().handlers()))},
)
"""One shard that tells all others what everybody must hear."""
