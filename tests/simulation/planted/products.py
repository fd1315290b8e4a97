"""The product with one part of it replaced, in both builds and all behaviours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from agents.dedupe import Dedupe
from agents.directory import Directory
from agents.fraud.agent import Fraud
from agents.routing import Routing
from agents.settlement.agent import Settlement
from agents.settlement.limits import LIMITS, ClearingLimits
from agents.topology import AUTHORISE, CONTROL, SETTLE
from chaos.simulator.topology import NEXT_LIMITS, Build, Builds, Product, builds_of
from chaos.virtual_time import SECOND_US, VirtualTime
from pipeline.kernel.agent import Agent, Behaviour
from pipeline.kernel.tables import Tables
from schemas.schemes.catalogue import SCHEMES

Agents = Callable[[Tables], tuple[Agent, ...]]


def hub(dedupe: type[Dedupe] = Dedupe, fraud: Callable[[VirtualTime], type[Fraud]] = lambda _time: Fraud) -> Product:
    """Return the product with other agents at the hub."""

    def product(time: VirtualTime) -> Builds:
        kind = fraud(time)

        def agents(tables: Tables) -> tuple[Agent, ...]:
            directory = Directory(tables)
            return directory, dedupe(tables), kind(tables, directory), Routing()

        return _changed("authorise", lambda _version, behaviour: replace(behaviour, agents=agents))

    return product


def clearing(settlement: Callable[[VirtualTime], type[Settlement]]) -> Product:
    """Return the product with another clearing."""

    def product(time: VirtualTime) -> Builds:
        kind = settlement(time)
        return _clearing_of(lambda tables, directory, limits: kind(tables, directory, SCHEMES, limits))

    return product


def trusting_any_clock(_time: VirtualTime) -> Builds:
    """An event's own time is cut to its arrival: one bad clock must not move a shard into the future."""
    return _changed("settle", lambda _version, behaviour: replace(behaviour, skew_us_max=10**15))


def trusting_no_clock(_time: VirtualTime) -> Builds:
    """An event's own time counts as far as it may be ahead."""
    return _changed("settle", lambda _version, behaviour: replace(behaviour, skew_us_max=-10 * SECOND_US))


def bounded_by_the_machine(_time: VirtualTime) -> Builds:
    """A limit that can alter a step is the behaviour's, and not a machine's own."""
    started = count()
    return _clearing_of(
        lambda tables, directory, limits: Settlement(
            tables, directory, SCHEMES, replace(limits, open_payments_max=1 + next(started) % 2)
        )
    )


def asking_by_the_machine(_time: VirtualTime) -> Builds:
    """An interval that can alter a step is the behaviour's, and not a machine's own."""
    started = count(10)
    return _clearing_of(
        lambda tables, directory, limits: Settlement(
            tables, directory, SCHEMES, replace(limits, status_requests_after_us=(next(started) * SECOND_US,) * 6)
        )
    )


def _clearing_of(settlement: Callable[[Tables, Directory, ClearingLimits], Settlement]) -> Builds:
    def changed(version: int, behaviour: Behaviour) -> Behaviour:
        limits = LIMITS if version == 1 else NEXT_LIMITS

        def agents(tables: Tables) -> tuple[Agent, ...]:
            directory = Directory(tables)
            return directory, settlement(tables, directory, limits)

        return replace(behaviour, agents=agents)

    return _changed("settle", changed)


def _changed(stage: str, change: Callable[[int, Behaviour], Behaviour]) -> Builds:
    def changed(build: Build) -> Build:
        behaviours = {version: change(version, known) for version, known in build[stage].behaviours.items()}
        return {**build, stage: replace(build[stage], behaviours=behaviours)}

    builds = builds_of(CONTROL, AUTHORISE, SETTLE)
    return Builds(changed(builds.old), changed(builds.new))
