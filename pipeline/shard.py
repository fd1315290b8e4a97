"""The one commit protocol: every shard of every stage, on every log, moves like this and in no other way.

    step      every record in order; collect outputs; advance the audit chain        (pure)
    publish   the outputs, each with its lineage, until all are acknowledged
    commit    tables, watermarks, timers, cycles, chain head and position, in one atomic write

A crash after ``step`` repeats it; after ``publish`` it repeats the same outputs, which are dropped downstream by their
lineage; after ``commit`` nothing repeats.  The position inside the state is the truth about what was read.

A shard whose step or publish failed is not used again: its tables hold what was never committed.  Restore it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import InvariantViolation
from pipeline.kernel.machine import Machine
from pipeline.kernel.meta import read_meta
from pipeline.kernel.position import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.kernel.agent import Output, Stage
    from pipeline.ports import OutputPublisher, Record, StateStore


class Shard:
    """One shard of a stage: its state, and the way through step, publish and commit."""

    def __init__(
        self, stage: Stage, store: StateStore, publisher: OutputPublisher, cached_per_table: int = 20_000
    ) -> None:
        meta = read_meta(store)
        if meta is None:
            raise InvariantViolation(f"stage {stage.name}: this state store was never set up")
        self.stage = stage
        self.store = store
        self.committed = meta
        """What the store holds; the machine runs ahead of it between step and commit."""
        self._publisher = publisher
        self._machine = Machine(stage, meta, store, cached_per_table)
        self._in_hand = False

    @property
    def position(self) -> Position:
        """The last record that was committed."""
        return Position.unpack(self.committed.position)

    @property
    def timers(self) -> int:
        """How many timers are set."""
        return self._machine.timers

    @property
    def cached_rows(self) -> int:
        """How many rows of state are kept decoded."""
        return self._machine.cached_rows

    async def process(self, records: Sequence[Record]) -> None:
        """Take in a batch: step, publish, commit."""
        self._take_in_hand()
        outputs = self.step(records)
        await self.publish(outputs)
        self.commit()
        self._in_hand = False

    async def finish(self) -> None:
        """Tell the destinations that this shard, closed and read to its end, will send nothing more; commit that."""
        if self.committed.ended:
            return
        self._take_in_hand()
        outputs = self._machine.end()
        await self.publish(outputs)
        self.commit()
        self._in_hand = False

    def step(self, records: Sequence[Record]) -> list[Output]:
        """Take every record in order and return what it puts out.  Nothing is written."""
        return self._machine.step(records)

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Return once every output is stored where it belongs."""
        if outputs:
            await self._publisher.publish(outputs)

    def commit(self) -> None:
        """Write everything that the steps since the last commit changed, in one atomic batch."""
        meta, changes, dropped = self._machine.collect()
        self.store.write(changes, dropped)
        self.committed = meta

    def _take_in_hand(self) -> None:
        if self._in_hand:
            raise InvariantViolation(f"{self.committed.source}: an earlier batch was not committed; restore the shard")
        self._in_hand = True
