"""The parts of a step, and where a stopwatch finds each.

    decode   a record's envelope and its event
    agents   what the agents do, without what is theirs of the two below
    state    reads of the store on behalf of the agents' tables, and the decoding of the values
    encode   outputs: the event, its envelope, the key's hash
    chain    the digest of the record and its outputs
    rest     what the shard does around them

Reading the batch, publishing and the commit are timed from outside, by the batch.

In a compiled build no stopwatch gets between one compiled function and another.  What is left are the ports: the codec,
the store and the calls of the agents.  So the agents pay for what they emit and for the decoding of their values, and
the rest for the chain and the envelopes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bench.machine import COMPILED
from bench.stopwatch import Stopwatch
from pipeline.kernel import audit_chain, machine
from pipeline.kernel.agent import Agent, Behaviour, Context, Handlers, Stage
from pipeline.kernel.tables import BroadcastTable, HorizonTable, Table, Tables, ValueCodec
from pipeline.ports import StateStore

V = TypeVar("V")


@contextmanager
def watched_engine(watch: Stopwatch) -> Iterator[None]:
    """Time what of the engine no port leads to; for a process that does nothing else meanwhile."""
    places: Sequence[tuple[str, Any, str]] = (
        ("decode", machine, "decode"),
        ("encode", Context, "emit"),
        ("encode", Context, "broadcast"),
        ("chain", audit_chain, "advance"),
    )
    before = [getattr(owner, name) for _, owner, name in places]
    for (part, owner, name), function in zip(places, before, strict=True):
        setattr(owner, name, watch.part(part, function))
    try:
        yield
    finally:
        for (_, owner, name), function in zip(places, before, strict=True):
            setattr(owner, name, function)


def watched_stage(stage: Stage, watch: Stopwatch) -> Stage:
    """Return ``stage`` with its codec, its agents and their tables timed."""

    def watched(behaviour: Behaviour) -> Behaviour:
        def agents(tables: Tables) -> tuple[Agent, ...]:
            inside = behaviour.agents(tables if COMPILED else _WatchedTables(tables, watch))
            return tuple(_WatchedAgent(agent, watch) for agent in inside)

        return replace(behaviour, agents=agents)

    behaviours = {version: watched(behaviour) for version, behaviour in stage.behaviours.items()}
    encode = watch.part("encode", stage.codec.encode) if COMPILED else stage.codec.encode  # else in all of ``emit``
    codec = _WatchedCodec(watch.part("decode", stage.codec.decode), encode)
    return replace(stage, codec=codec, behaviours=behaviours)


class WatchedStore:
    """A store with what it is asked for during a step timed."""

    def __init__(self, store: StateStore, watch: Stopwatch) -> None:
        self.get = watch.part("state", store.get)
        self.scan = store.scan
        self.write = store.write
        self.flush = store.flush
        self.checkpoint = store.checkpoint
        self.close = store.close


@dataclass(frozen=True, slots=True)
class _WatchedCodec:
    decode: Callable[[int, int, bytes], object]
    encode: Callable[[object], tuple[int, int, bytes]]


@dataclass(frozen=True, slots=True)
class _WatchedValues:
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


class _WatchedTables(Tables):
    """Gives out the tables of other ``Tables``, with the decoding of their values timed."""

    def __init__(self, tables: Tables, watch: Stopwatch) -> None:
        self._real = tables
        self._watch = watch

    def keyed(self, number: int, codec: ValueCodec[V]) -> Table[V]:
        return self._real.keyed(number, self._watched(codec))

    def horizon(self, number: int, codec: ValueCodec[V], horizon_us: int) -> HorizonTable[V]:
        return self._real.horizon(number, self._watched(codec), horizon_us)

    def broadcast(self, number: int, codec: ValueCodec[V]) -> BroadcastTable[V]:
        return self._real.broadcast(number, self._watched(codec))

    def _watched(self, codec: ValueCodec[V]) -> ValueCodec[V]:
        return _WatchedValues(self._watch.part("state", codec.decode), codec.encode)


class _WatchedAgent:
    """An agent with its handlers timed."""

    def __init__(self, agent: Agent, watch: Stopwatch) -> None:
        self._handlers = {event: watch.part("agents", handler) for event, handler in agent.handlers().items()}

    def handlers(self) -> Handlers:
        return self._handlers
