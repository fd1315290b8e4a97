"""The agents of a stage where another engine keeps their state: by key, in memory, asked for when it takes a backup.

The agents are the stage's own, with the tables and the context that they have in a shard; what is left out is what a
shard is for: watermarks, the audit chain, the commit.  Values stay decoded in memory, as objects of that engine would,
and are encoded only when it asks for a key's state.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from pipeline.kernel import keys
from pipeline.kernel.agent import Context, Output, Stage
from pipeline.kernel.cycles import Cycles
from pipeline.kernel.envelope import Envelope, decode
from pipeline.kernel.tables import Changes, Dropped, Scope, Tables
from pipeline.kernel.timers import Timers
from pipeline.state.memory import MemoryStore

Rows = dict[bytes, bytes]
_HASH_AT = {keys.KEYED: slice(1, 17), keys.HORIZON: slice(6, 22)}


class Input(NamedTuple):
    """A record with what was decoded of it."""

    position: bytes
    record: bytes
    envelope: Envelope
    event: object


class KeyedAgents:
    """The agents of ``stage``, over the rows in ``store``, as the source called ``source``."""

    def __init__(self, stage: Stage, store: MemoryStore, source: bytes) -> None:
        self._codec = stage.codec
        self._store = store
        self._scope = Scope(0)
        self._tables = Tables(self._scope, store, cached_per_table=sys.maxsize)
        self._context = Context(stage, source, self._scope, Timers(store), Cycles(store))
        behaviour = stage.behaviours[min(stage.behaviours)]
        self._handlers = [agent.handlers() for agent in behaviour.agents(self._tables)]
        self._rows: dict[bytes, dict[bytes, None]] = {}
        self._collected = True

    def decode(self, position: bytes, record: bytes) -> Input:
        """Return a record decoded."""
        envelope = decode(record)
        event = self._codec.decode(envelope.kind, envelope.version, envelope.body)
        return Input(position, record, envelope, event)

    def take(self, taken: Input) -> list[Output]:
        """Hand an event from agent to agent and return what they put out."""
        context, scope = self._context, self._scope
        position, record, envelope, event = taken
        context.begin(position, record)
        scope.version = (envelope.event_time_us, envelope.source, envelope.lineage)
        scope.now_us = envelope.event_time_us  # a key's own time: keys are not taken in the order of the log
        scope.hashed = envelope.first
        self._collected = False
        for handlers in self._handlers:
            handler = handlers.get(type(event))
            if handler is not None:
                handled = handler(event, context)
                if handled is None:
                    break
                event = handled
        return context.outputs

    def rows_of(self, hashed: bytes) -> Rows:
        """Return the encoded state of a key: every row that was ever written under its hash."""
        if not self._collected:
            self._collect()
        rows = ((row, self._store.get(row)) for row in self._rows.get(hashed, ()))
        return {row: value for row, value in rows if value is not None}

    def restore(self, rows: Rows) -> None:
        """Take back what :meth:`rows_of` returned in an earlier life."""
        self._note(dict(rows))

    def _collect(self) -> None:
        changes: Changes = {}
        dropped: Dropped = []
        self._tables.collect(changes, dropped)
        self._note(changes, dropped)
        self._collected = True

    def _note(self, changes: Changes, dropped: Dropped | None = None) -> None:
        self._store.write(changes, dropped or [])
        for row in changes:
            hash_at = _HASH_AT.get(row[:1])
            if hash_at is not None:
                self._rows.setdefault(row[hash_at], {})[row] = None
