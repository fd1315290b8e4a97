"""A process that takes itself for the owner of a shard: restore, read, process, snapshot, for ever.

It is a few coroutines.  At every point where one gives its turn away the world may end it, and what it was about to do
is the fault that this is counted as.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from chaos.simulator.faults import Fault, Odds, Recovery
from chaos.simulator.log import SimulatedLog
from chaos.simulator.ports import SharedSnapshots, SimulatedStore, SimulatedStores, SnapshotsOfAMachine
from chaos.simulator.topology import Build, Product, product
from chaos.virtual_time import NEXT_TURN, SECOND_US, MachineClock, Until, VirtualTime, WaitsFor
from pipeline.kernel.agent import Output, Stage
from pipeline.kernel.position import START, Position
from pipeline.ports import ShardDescription, StateStore
from pipeline.publisher import Publisher
from pipeline.restore import ParentsNotEndedError, Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests

T = TypeVar("T")

BATCHES_MAX: Final = (3, 8, 40)
"""User records in a batch, at most: one of these, by machine."""
CACHED_ROWS: Final = 30
"""Few, so that rows leave the cache and are read again."""
PARENTS_AWAITED_US: Final = SECOND_US // 2
_SNAPSHOT_EVERY: Final = 25
"""Batches, on average."""
_MID_COMMIT: Final = frozenset({Fault.CRASH_BEFORE_PUBLISH, Fault.CRASH_HALF_PUBLISHED, Fault.CRASH_BEFORE_COMMIT})


@dataclass(frozen=True, slots=True)
class Engine:
    """What is simulated: the engine and the product on it, or either of them with something broken."""

    shard: type[Shard] = Shard
    publisher: type[Publisher] = Publisher
    restorer: type[Restorer] = Restorer
    store: type[SimulatedStore] = SimulatedStore
    product: Product = product


@dataclass(slots=True, eq=False)
class Machine:
    """Where an owner runs: a disk, a clock and a build."""

    number: int
    stores: SimulatedStores
    clock: MachineClock
    build: Build
    batch_max: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all owners of a world share."""

    engine: Engine
    time: VirtualTime
    log: SimulatedLog
    snapshots: SharedSnapshots
    odds: Odds
    random: Random
    scratch: Path
    committed: Callable[[Owner], None]
    """Told after each commit."""


@dataclass(slots=True, eq=False)
class Activity:
    """Something that an owner is doing."""

    coroutine: Coroutine[WaitsFor, None, None]
    waits_for: WaitsFor = None
    moment: Fault = Fault.CRASH_WHILE_RESTORING
    """What it would be if the owner died now."""


@dataclass(slots=True, eq=False)
class Owner:
    """One process and its shard."""

    stage_name: str
    description: ShardDescription
    machine: Machine
    around: Surroundings
    hidden_snapshots: int
    shard: Shard | None = None
    is_gone: bool = False
    """It has died, or another has taken its place, which it may not know."""
    paused_until_us: int = 0
    activities: list[Activity] = field(default_factory=list)
    in_hand: Activity | None = None
    _folders: int = 0

    def __str__(self) -> str:
        zombie = ", replaced" if self.is_gone else ""
        return f"{self.stage_name}/{self.shard_id[-4:]} on machine {self.machine.number}{zombie}"

    @property
    def shard_id(self) -> str:
        """The shard's name in its stream."""
        return self.description.shard_id

    @property
    def stage(self) -> Stage:
        """The stage as this machine's build has it."""
        return self.machine.build[self.stage_name]

    @property
    def key(self) -> tuple[str, str]:
        """Which shard of which stage."""
        return self.stage_name, self.shard_id

    def start(self) -> None:
        """Come into being."""
        self.activities.append(Activity(self._live()))

    def move(self, activity: Activity) -> None:
        """Go on with ``activity`` until it gives its turn away; what it raises ends the owner."""
        self.in_hand = activity
        self.around.log.mover = self
        try:
            activity.waits_for = activity.coroutine.send(None)
        except StopIteration:
            self.activities.remove(activity)
        finally:
            self.around.log.mover = None
            self.in_hand = None

    def die(self) -> None:
        """End wherever it is."""
        self.is_gone = True
        for activity in self.activities:
            activity.coroutine.close()
        self.activities.clear()

    def is_at(self, sequence: int) -> bool:
        """Say whether everything up to ``sequence`` is read, and nothing is going on beside."""
        return self.shard is not None and len(self.activities) == 1 and self.shard.position.sequence == sequence

    def is_in_mid_commit(self, activity: Activity) -> bool:
        """Say whether ``activity`` has a batch in hand that is not committed."""
        return activity.moment in _MID_COMMIT

    # ------------------------------------------------------------------------------------------------- what it does

    def _at(self, moment: Fault) -> None:
        if self.in_hand is not None:
            self.in_hand.moment = moment

    async def _live(self) -> None:
        around, stream = self.around, self.stage.source_stream
        shard = self.shard = await self._restored()
        tip, ended = around.log.tip_of(stream, self.shard_id), False
        while not ended:
            self._at(Fault.CRASH_AFTER_COMMIT)
            read_through = shard.position.sequence
            await Until(lambda: tip.end > read_through or tip.closed)  # noqa: B023 - asked before the next round
            limit = around.random.randint(1, self.machine.batch_max)
            found = await around.log.read(stream, self.shard_id, shard.position.sequence, limit)
            if found.records:
                self._at(Fault.CRASH_BEFORE_STEP)
                await NEXT_TURN
                await shard.process(found.records)
                around.committed(self)
                self._snapshot_now_and_then(shard)
            ended = found.ended
        self._at(Fault.CRASH_BEFORE_STEP)
        await shard.finish()
        around.committed(self)
        await self._snapshot(shard)

    async def _restored(self) -> Shard:
        around, machine = self.around, self.machine
        engine, stage, odds = around.engine, self.stage, around.odds
        snapshots = SnapshotsOfAMachine(around.snapshots, self.shard_id, self.hidden_snapshots)
        scratch = around.scratch / str(machine.number)
        restorer = engine.restorer(stage, around.log, machine.stores, snapshots, scratch)
        kept = machine.stores.open(stage.name, self.shard_id) is not None
        store: StateStore | None = None
        while store is None:
            try:
                store = await restorer.restore(self.description)
            except ParentsNotEndedError:
                odds.recover(Recovery.WAITED_FOR_PARENTS)
                await Until(around.time.us + PARENTS_AWAITED_US)
        publisher = engine.publisher(around.log, machine.clock, together=self._side_by_side)
        shard = engine.shard(stage, store, Watched(publisher, self), CACHED_ROWS)
        odds.recover(_origin(shard, self.description, kept=kept))
        return shard

    def _snapshot_now_and_then(self, shard: Shard) -> None:
        if len(self.activities) == 1 and self.around.random.randrange(_SNAPSHOT_EVERY) == 0:
            self.activities.append(Activity(self._snapshot(shard), moment=Fault.CRASH_BEFORE_FLUSH))

    async def _snapshot(self, shard: Shard) -> None:
        around = self.around
        self._folders += 1
        folder = around.scratch / f"{self.machine.number}-{self.stage_name}-{self.shard_id}-{self._folders}"
        snapshots = SnapshotsOfAMachine(around.snapshots, self.shard_id, 0)
        self._at(Fault.CRASH_BEFORE_FLUSH)
        try:
            await take_snapshot(shard, self.machine.stores, snapshots, folder, FileDigests(), self._beside)
            self._at(Fault.CRASH_AFTER_MANIFEST)
            await NEXT_TURN
            await snapshots.retire(self.stage_name, self.shard_id)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _beside(self, work: Callable[..., T], *args: object) -> T:
        """Do what would be done in a thread when it is this coroutine's turn again."""
        await NEXT_TURN
        done = work(*args)
        moment = self.in_hand.moment if self.in_hand else Fault.CRASH_BEFORE_FLUSH
        after = {
            Fault.CRASH_BEFORE_FLUSH: Fault.CRASH_AFTER_CHECKPOINT,
            Fault.CRASH_AFTER_CHECKPOINT: Fault.CRASH_BEFORE_MANIFEST,
        }
        self._at(after.get(moment, moment))
        return done

    async def _side_by_side(self, *work: Awaitable[None]) -> None:
        """Give one of ``work`` its turn after the other, in any order, until all is done."""
        left = [one.__await__() for one in work]
        try:
            while left:
                turn = self.around.random.choice(left)
                try:
                    waits_for: Any = next(turn)
                except StopIteration:
                    left.remove(turn)
                else:
                    await Until(waits_for if len(left) == 1 else None)
        finally:
            for unfinished in left:
                unfinished.close()


@dataclass(frozen=True, slots=True)
class Watched:
    """A publisher of an owner that may die before, within and behind each publication."""

    publisher: Publisher
    owner: Owner

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Publish."""
        self.owner._at(Fault.CRASH_BEFORE_PUBLISH)  # noqa: SLF001 - the owner's own eyes
        await NEXT_TURN
        self.owner._at(Fault.CRASH_HALF_PUBLISHED)  # noqa: SLF001
        await self.publisher.publish(outputs)
        self.owner._at(Fault.CRASH_BEFORE_COMMIT)  # noqa: SLF001
        await NEXT_TURN


def _origin(shard: Shard, description: ShardDescription, *, kept: bool) -> Recovery:
    """Say where the state of ``shard`` came from."""
    if kept:
        return Recovery.FROM_ITS_OWN_STORE
    if Position.unpack(shard.committed.position) != START:
        return Recovery.FROM_A_SNAPSHOT
    by_parents = (Recovery.FROM_GENESIS, Recovery.FROM_A_SPLIT_PARENT, Recovery.FROM_MERGED_PARENTS)
    return by_parents[len(description.parents)]
