"""Everything that a seed decides: whose turn it is, what time it is, and what goes wrong.

    while orders are given, and then until all has come to rest:
        somebody who can go on goes on, and a moment passes; or, if nobody can, time jumps to what is planned next
        what is planned for now happens
        now and then something goes wrong

Faults stop once the last order was given.  From then on everything must drain in ``DRAIN_US``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from agents.streams import ALL_STREAMS, CLEARING, CONTROL, OUTBOUND, OUTCOMES, PARKED, PAYMENTS
from chaos.auditor.invariants import Breach, Invariant
from chaos.simulator.edges import Edges
from chaos.simulator.faults import Fault, Odds, Recovery
from chaos.simulator.owner import BATCHES_MAX, Activity, Engine, Machine, Owner, Surroundings
from chaos.simulator.ports import SharedSnapshots, SimulatedLog, SimulatedStores
from chaos.simulator.virtual_time import HOUR_US, MINUTE_US, SECOND_US, MachineClock, VirtualTime
from pipeline.errors import (
    InvariantViolation,
    LogError,
    PipelineError,
    SnapshotError,
    StateError,
    TrimmedRangeError,
    UnknownBehaviourError,
)
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.position import Position
from pipeline.kernel.system_events import Tick
from pipeline.kernel.system_events import encode as encode_system_event
from pipeline.ports import Entry, Manifest, ShardDescription
from pipeline.state.memory import MemoryStore

T = TypeVar("T")

DRAIN_US: Final = 3 * HOUR_US
"""Once faults stop, all must be at rest after so long: the last time that a silent foreign participant is asked in
which it may still answer lies within it, and so does every deadline and the settlement of the last cycle."""
SHARDS_MAX: Final = 6
"""Open at once in a stream."""
OWNERS_MAX: Final = 16
TRACED: Final = 4_000
_TURNS_MAX: Final = 2_000_000
_NIGHT_US: Final = 13 * HOUR_US
_TICK_US: Final = 8 * SECOND_US
_CALM_TICK_US: Final = 6 * MINUTE_US
_SKEW_US_MAX: Final = 4 * SECOND_US
_STAGE_OF_STREAM: Final = {CONTROL: "control", PAYMENTS: "authorise", CLEARING: "settle"}
_STREAM_OF_STAGE: Final = {stage: stream for stream, stage in _STAGE_OF_STREAM.items()}
_RESHARDED: Final = (PAYMENTS, PAYMENTS, CLEARING, CLEARING, CLEARING, OUTBOUND, OUTCOMES, PARKED)
_TICK_KIND, _TICK_VERSION, _TICK_BODY = encode_system_event(Tick())


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing but its turn to its end at once, and return what it returned."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result


class World:
    """One seed."""

    def __init__(self, seed: int, orders: int, scratch: Path, engine: Engine) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.time = VirtualTime()
        self.odds = Odds(self.random)
        self.log = SimulatedLog(self.time, self.odds, self.random, self._hear)
        self.snapshots = SharedSnapshots(self.time, self.odds, self.random)
        self.builds = engine.product(self.time)
        self.edges = Edges(self, orders)
        self.owners: list[Owner] = []
        self.trace: deque[tuple[int, str]] = deque(maxlen=TRACED)
        self.around = Surroundings(
            engine,
            self.time,
            self.log,
            self.snapshots,
            self.odds,
            self.random,
            scratch,
            self._check,
        )
        self.batches = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._machines = 0
        self._ticks = 0
        self._turns = 0
        self._trimmed = False
        self._heads: dict[tuple[str, bytes], bytes] = {}
        self._dead: set[tuple[str, str]] = set()
        """Shards whose owner died, and will be replaced."""
        self._chances = tuple(self._chances_of_this_seed())
        self._chance = sum(odds for odds, _ in self._chances)
        for stream in ALL_STREAMS:
            finished(self.log.create_stream(stream, 1 if stream == CONTROL else self.random.randint(1, 4)))

    # --------------------------------------------------------------------------------------------------- the course

    def run(self) -> None:
        """Let everything happen, until all has come to rest."""
        self._staff()
        self.edges.start()
        self._tick_all()
        while not self.edges.is_done:
            self._turn()
        self._calm_down()
        ends_us = self.time.us + DRAIN_US
        while self.time.us < ends_us:
            self._turn()
        self._agenda.clear()
        while any(True for _ in self._ready()):
            self._turn()
        self._require_rest()

    def close(self) -> None:
        """End all that still runs."""
        for owner in self.owners:
            owner.die()
        self.owners.clear()

    @property
    def takes_puts(self) -> bool:
        """Say whether the log is there."""
        return not self.log.is_unavailable

    def after(self, us: int, action: Callable[[], None]) -> None:
        """Do something later."""
        self._planned += 1
        heappush(self._agenda, (self.time.us + us, self._planned, action))

    def put(self, stream: str, entry: Entry, landed: Callable[[], None]) -> None:
        """Put a record of an edge, and tell when it has; while the log is unavailable, the edge tries again."""
        if self.takes_puts:
            finished(self.log.put_surely(stream, entry))
            landed()
        else:
            self.after(SECOND_US // 2, lambda: self.put(stream, entry, landed))

    def leaves(self) -> dict[tuple[str, str], Owner]:
        """Return the owner of every shard that is open, by stage and shard."""
        return {owner.key: owner for owner in self.owners if not owner.is_gone}

    def say(self, text: str) -> None:
        """Note what happens, for whoever reads the trace of a failure."""
        self.trace.append((self.time.us, text))

    def _turn(self) -> None:
        self._turns += 1
        if self._turns > _TURNS_MAX:
            raise Breach(Invariant.COMES_TO_REST, f"{_TURNS_MAX} turns, and still not at rest")
        ready = list(self._ready())
        if ready:
            owner, activity = self.random.choice(ready)
            self._move(owner, activity)
            self.time.us += self.random.randrange(3_000)
        elif self._agenda:
            self.time.us = max(self.time.us, self._agenda[0][0])
        while self._agenda and self._agenda[0][0] <= self.time.us:
            heappop(self._agenda)[2]()

    def _ready(self) -> Iterator[tuple[Owner, Activity]]:
        now_us = self.time.us
        for owner in self.owners:
            for activity in owner.activities:
                if activity.is_ready(now_us):
                    yield owner, activity

    def _move(self, owner: Owner, activity: Activity) -> None:
        if owner.is_gone and owner.is_in_mid_commit(activity):
            self.odds.fire(Fault.ZOMBIE_IN_MID_COMMIT)
        late_before = len(self.log.late)
        try:
            owner.move(activity)
        except InvariantViolation:
            raise
        except PipelineError as error:
            self._end(owner, error)
            return
        if not owner.activities:
            self.owners.remove(owner)
            self.say(f"{owner} has read its shard to the end")
            return
        for late in self.log.late[late_before:]:
            self.after(self.random.randrange(12 * SECOND_US), lambda late=late: finished(self.log.deliver(late)))  # type: ignore[misc]
        if isinstance(activity.waits_for, int):
            self.after(max(0, activity.waits_for - self.time.us), _nothing)
        if not self.odds.calm and self.random.random() < self._chance:
            (what,) = self.random.choices(
                [happening for _, happening in self._chances], [odds for odds, _ in self._chances]
            )
            what(owner, activity)

    # ------------------------------------------------------------------------------------------------ what goes wrong

    def _chances_of_this_seed(self) -> Iterator[tuple[float, Callable[[Owner, Activity], None]]]:
        """Yield what may go wrong at a move, each with its probability."""
        of = self.odds.of
        yield of(Fault.CRASH_BEFORE_COMMIT, 0.0035), self._crash
        yield of(Fault.TWO_OWNERS, 0.0015), self._replace
        yield 0.0015 * self.random.uniform(0.5, 2), self._reshard
        yield of(Fault.SNAPSHOT_CORRUPT, 0.002), self._rot
        yield of(Fault.LOG_UNAVAILABLE, 0.0002), self._lose_the_log
        yield of(Fault.SNAPSHOTS_UNAVAILABLE, 0.0003), self._lose_the_snapshots
        yield of(Fault.DISK_FULL, 0.0005), self._fill_the_disk
        yield of(Fault.CLOCK_JUMPED, 0.0005), self._jump
        yield of(Fault.TRIM, 0.0008), self._trim
        yield of(Fault.NIGHT, 0.00003), self._sleep_over

    def _crash(self, owner: Owner, activity: Activity) -> None:
        """Let the owner die where it is; its shard is taken over by its machine, or by another one."""
        if activity not in owner.activities:
            return
        self.odds.fire(activity.moment)
        self.say(f"{owner} dies: {activity.moment}")
        self._bury(owner)

    def _replace(self, owner: Owner, _activity: Activity) -> None:
        """Another machine takes the shard over, and who was its owner does not know."""
        if owner.is_gone or len(self.owners) >= OWNERS_MAX:
            return
        self.odds.fire(Fault.TWO_OWNERS)
        owner.is_gone = True
        successor = self._start(owner.stage_name, owner.description, self._new_machine(), self.random.randint(0, 3))
        self.say(f"{successor} takes over from {owner}, which goes on")

    def _reshard(self, _owner: Owner, _activity: Activity) -> None:
        stream = self.random.choice(_RESHARDED)
        opened = self._open_shards(stream)
        shard = self.random.choice(opened)
        split = self.random.choice((True, False)) and len(opened) < SHARDS_MAX
        neighbours = [other for other in opened if other.hash_range.first == shard.hash_range.last + 1]
        if not split and not neighbours:
            return
        if shard.parents:
            self.odds.fire(Fault.SPLIT_OF_A_CHILD)
        if split:
            at = self.random.randint(shard.hash_range.first + 1, shard.hash_range.last)
            finished(self.log.split(stream, shard.shard_id, at))
            self.odds.fire(Fault.SPLIT)
            self.say(f"{stream}/{shard.shard_id[-4:]} is split")
        else:
            finished(self.log.merge(stream, shard.shard_id, neighbours[0].shard_id))
            self.odds.fire(Fault.MERGE)
            self.say(f"{stream}/{shard.shard_id[-4:]} is merged with {neighbours[0].shard_id[-4:]}")
        self._staff()

    def _rot(self, _owner: Owner, _activity: Activity) -> None:
        """Damage a snapshot; one that the log cannot make up for any more is spared."""
        manifests = self.snapshots.all()
        if manifests:
            manifest = self.random.choice(manifests)
            if not self._is_needed(manifest):
                self.snapshots.rot(manifest)

    def _is_needed(self, manifest: Manifest) -> bool:
        """Say whether records that a snapshot stands for may be gone, and no other one stands for them."""
        if not self._trimmed:
            return False
        usable = self._usable(manifest.stage, manifest.shard_id)
        return manifest.ended or manifest not in usable or len(usable) == 1

    def _usable(self, stage: str, shard_id: str) -> list[Manifest]:
        """Return the snapshots that are whole and that the log can go on from, the newest first."""
        stream = _STREAM_OF_STAGE[stage]
        trimmed_through = finished(self.log.trim_horizon(stream, shard_id))
        return [
            manifest
            for manifest in finished(self.snapshots.manifests(stage, shard_id))
            if all(map(self.snapshots.is_whole, manifest.files.values()))
            and Position.unpack(manifest.position).sequence >= trimmed_through
        ]

    def _lose_the_log(self, _owner: Owner, _activity: Activity) -> None:
        self.odds.fire(Fault.LOG_UNAVAILABLE)
        self.log.unavailable_until_us = self.time.us + self.random.randrange(8 * SECOND_US)
        self.say("the log is unavailable for a while")

    def _lose_the_snapshots(self, _owner: Owner, _activity: Activity) -> None:
        self.odds.fire(Fault.SNAPSHOTS_UNAVAILABLE)
        self.snapshots.unavailable_until_us = self.time.us + self.random.randrange(8 * SECOND_US)
        self.say("the snapshot store is unavailable for a while")

    def _fill_the_disk(self, owner: Owner, _activity: Activity) -> None:
        owner.machine.stores.full = True
        self.say(f"the disk of {owner} is full")

    def _jump(self, owner: Owner, _activity: Activity) -> None:
        """Let a machine's clock be far off for a while."""
        self.odds.fire(Fault.CLOCK_JUMPED)
        clock, before_us = owner.machine.clock, owner.machine.clock.skew_us
        clock.skew_us = self.random.choice((-1, 1)) * self.random.randrange(48 * HOUR_US)

        def mend() -> None:
            clock.skew_us = before_us

        self.after(10 * SECOND_US, mend)

    def _trim(self, _owner: Owner, _activity: Activity) -> None:
        """Remove records that the two newest snapshots do not need; who starts from an older one must halt."""
        self._trimmed = True
        for stage, stream in _STREAM_OF_STAGE.items():
            for shard in self._open_shards(stream):
                usable = self._usable(stage, shard.shard_id)
                if len(usable) > 1:
                    kept_after = Position.unpack(usable[1].position).sequence
                    archive = self.log.archive[stream, shard.shard_id]
                    arrived = [record.arrival_us for record in archive if record.sequence > kept_after]
                    finished(self.log.trim(stream, shard.shard_id, min(arrived, default=self.time.us)))

    def _sleep_over(self, _owner: Owner, _activity: Activity) -> None:
        self.odds.fire(Fault.NIGHT)
        self.edges.workload.forget()
        self.time.us += self.random.randrange(_NIGHT_US, 3 * _NIGHT_US)
        self.say("hours pass")

    # --------------------------------------------------------------------------------------------------- the owners

    def _staff(self) -> None:
        """See to it that every shard that a stage reads has an owner, or an END snapshot."""
        ended = {(manifest.stage, manifest.shard_id) for manifest in self.snapshots.all() if manifest.ended}
        owned = self.leaves().keys() | self._dead
        for stream, stage in _STAGE_OF_STREAM.items():
            for shard in self.log.shards_of(stream):
                if (stage, shard.shard_id) not in owned | ended:
                    self._start(stage, shard, self._new_machine(), 0)

    def _start(self, stage: str, description: ShardDescription, machine: Machine, hidden: int) -> Owner:
        owner = Owner(stage, description, machine, self.around, hidden)
        owner.start()
        self.owners.append(owner)
        return owner

    def _new_machine(self) -> Machine:
        self._machines += 1
        skew_us = 0
        if self.random.random() < self.odds.of(Fault.CLOCK_SKEWED, 0.4):
            self.odds.fire(Fault.CLOCK_SKEWED)
            skew_us = self.random.randint(-_SKEW_US_MAX, _SKEW_US_MAX)
        old = self.random.random() < self.odds.of(Fault.OLD_BUILD, 0.2)
        stores = SimulatedStores(self.around.engine.store)
        clock = MachineClock(self.time, skew_us)
        build = self.builds.old if old else self.builds.new
        return Machine(self._machines, stores, clock, build, self.random.choice(BATCHES_MAX))

    def _end(self, owner: Owner, error: PipelineError) -> None:
        """End an owner that cannot go on; see whether it was right to stop."""
        self.say(f"{owner} ends: {type(error).__name__}: {error}")
        if isinstance(error, UnknownBehaviourError):
            if owner.machine.build is self.builds.new:
                raise InvariantViolation(f"{owner} runs the newest build, and does not know a behaviour: {error}")
            self.odds.fire(Fault.OLD_BUILD)
            self.odds.recover(Recovery.HALTED_ON_UNKNOWN_BEHAVIOUR)
            owner.machine.build = self.builds.new
        elif isinstance(error, TrimmedRangeError):
            self.odds.fire(Fault.TRIM)
            self.odds.recover(Recovery.HALTED_ON_TRIMMED_RANGE)
        elif isinstance(error, StateError):
            self.odds.fire(Fault.DISK_FULL)
            owner.machine.stores.full = False
        elif isinstance(error, SnapshotError):
            if "but this worker reads" in str(error):
                self.odds.recover(Recovery.REFUSED_A_FOREIGN_SNAPSHOT)
        elif not isinstance(error, LogError):
            raise error
        self._bury(owner, keeps_disk=not isinstance(error, TrimmedRangeError))

    def _bury(self, owner: Owner, *, keeps_disk: bool = True) -> None:
        """Let a dead owner's shard be taken over in a while, if it was the owner."""
        was_owner = not owner.is_gone
        owner.die()
        self.owners.remove(owner)
        if not was_owner:
            return
        again = self.odds.calm or (keeps_disk and self.random.choice((True, False)))
        if again and keeps_disk:
            machine, hidden = owner.machine, 0
            self._lose_batches(owner)
        else:
            machine = self._new_machine()
            hidden = 0 if not keeps_disk or self.odds.calm else self.random.randint(0, 3)
        delay_us = self.random.choice((0, SECOND_US // 4, SECOND_US))
        self._dead.add(owner.key)
        self.after(delay_us, lambda: self._take_over(owner, machine, hidden))

    def _take_over(self, dead: Owner, machine: Machine, hidden: int) -> None:
        self._dead.discard(dead.key)
        owner = self._start(dead.stage_name, dead.description, machine, hidden)
        self.say(f"{owner} starts")

    def _lose_batches(self, owner: Owner) -> None:
        """Lose some of what a machine has not flushed when its process died."""
        store = owner.machine.stores.open(owner.stage_name, owner.shard_id)
        if (
            isinstance(store, MemoryStore)
            and store.unflushed
            and self.random.random() < self.odds.of(Fault.BATCHES_LOST, 0.6)
        ):
            self.odds.fire(Fault.BATCHES_LOST)
            store.lose(self.random.randint(0, store.unflushed))

    # -------------------------------------------------------------------------------------------------- time and rest

    def _tick_all(self) -> None:
        """Let every owner tell its shard what time its machine takes it for."""
        self._staff()
        for owner in self.owners:
            if owner.shard is not None and not self.log.is_unavailable:
                self._tick(owner)
        self.after(_CALM_TICK_US if self.odds.calm else _TICK_US, self._tick_all)

    def _tick(self, owner: Owner) -> None:
        owned = owner.description.hash_range
        if self.log.tip_of(owner.stage.source_stream, owner.shard_id).closed:
            return
        self._ticks += 1
        address = owned.first_bytes, owned.last_bytes
        at_us = owner.machine.clock.now_us()
        lineage = edge_lineage(2, self._ticks)
        tick = Envelope(FROM_EDGE, _TICK_KIND, _TICK_VERSION, at_us, *address, lineage, b"ticker", _TICK_BODY)
        finished(self.log.put_surely(owner.stage.source_stream, Entry(owned.first_bytes, [encode(tick)])))

    def _calm_down(self) -> None:
        """From here on nothing goes wrong."""
        self.odds.calm = True
        self.edges.stop(DRAIN_US - 10 * MINUTE_US)
        self.log.unavailable_until_us = self.snapshots.unavailable_until_us = 0
        for owner in self.owners:
            owner.machine.stores.full = False
            owner.machine.clock.skew_us = 0
        self.say("faults stop")

    def _require_rest(self) -> None:
        for owner in self.owners:
            if not owner.is_at(self.log.tip_of(owner.stage.source_stream, owner.shard_id).end):
                text = f"{owner} has not come to the end of its shard {DRAIN_US // SECOND_US} s after the faults"
                raise Breach(Invariant.COMES_TO_REST, text)
        owned = self.leaves()
        for stream, stage in _STAGE_OF_STREAM.items():
            for shard in self._open_shards(stream):
                if (stage, shard.shard_id) not in owned:
                    raise Breach(Invariant.COMES_TO_REST, f"nobody owns {stage}/{shard.shard_id}")
        timers = sum(owner.shard.timers for owner in self.leaves().values() if owner.shard is not None)
        if timers > len(self.edges.limbo):
            text = f"{timers} timers are left at rest, and {len(self.edges.limbo)} payments are in limbo"
            raise Breach(Invariant.BOUNDED, text)
        if self.log.late:
            raise Breach(Invariant.BOUNDED, f"{len(self.log.late)} puts are still on their way")

    def _check(self, owner: Owner) -> None:
        """Hold a commit against all commits of the same shard before it."""
        self.batches += 1
        shard = owner.shard
        if shard is None:
            return
        meta = shard.committed
        if self._heads.setdefault((meta.source, meta.position), meta.chain_head) != meta.chain_head:
            raise Breach(Invariant.AUDIT_CHAIN, f"{meta.source} has two chain heads at {shard.position}")
        self.say(f"{owner} commits {shard.position}")

    def _open_shards(self, stream: str) -> list[ShardDescription]:
        shards = [shard for shard in self.log.shards_of(stream) if not shard.closed]
        return sorted(shards, key=lambda shard: shard.hash_range.first)

    def _hear(self, stream: str, envelope: Envelope) -> None:
        self.edges.hear(stream, envelope)


def _nothing() -> None:
    """Only wake whoever has slept until now."""
