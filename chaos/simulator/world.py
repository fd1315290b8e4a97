"""Everything that a seed decides: whose turn it is, what time it is, and what goes wrong.

    while orders are given, and then until all has come to rest:
        somebody who can go on goes on, and a moment passes; or, if nobody can, time jumps to what is planned next
        now and then something goes wrong
        what is planned for now happens

Faults stop once the last order was given.  From then on everything must drain in ``DRAIN_US``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import ClassVar, Final

from agents.streams import ALL_STREAMS, CONTROL
from chaos.auditor.invariants import Breach, Invariant
from chaos.simulator.agenda import Agenda
from chaos.simulator.edges import Edges
from chaos.simulator.faults import Fault, Odds
from chaos.simulator.fleet import STAGE_OF_STREAM, Fleet
from chaos.simulator.happenings import Happenings
from chaos.simulator.log import LatePut, SimulatedLog
from chaos.simulator.owner import Activity, Engine, Owner, Surroundings
from chaos.simulator.ports import SharedSnapshots
from chaos.virtual_time import HOUR_US, MINUTE_US, SECOND_US, VirtualTime, finished
from pipeline.errors import InvariantViolation, PipelineError
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.system_events import Tick
from pipeline.kernel.system_events import encode as encode_system_event
from pipeline.ports import Entry, ShardDescription

DRAIN_US: Final = 3 * HOUR_US
"""Once faults stop, all must be at rest after so long: the last time that a silent foreign participant is asked in
which it may still answer lies within it, and so does every deadline and the settlement of the last cycle."""
TRACED: Final = 4_000
_TURNS_MAX: Final = 2_000_000
_MOMENT_US_MAX: Final = 3_000
_LATE_US_MAX: Final = 12 * SECOND_US
_TICK_US: Final = 8 * SECOND_US
_LAST_CUT_OFF_US: Final = DRAIN_US - 10 * MINUTE_US
_TICK_KIND, _TICK_VERSION, _TICK_BODY = encode_system_event(Tick())


class World:
    """One seed."""

    odds_type: ClassVar[type[Odds]] = Odds
    calm_tick_us: ClassVar[int] = 9 * MINUTE_US
    """Between two ticks once faults stop."""

    def __init__(self, seed: int, orders: int, scratch: Path, engine: Engine) -> None:
        self.random = Random(seed)
        self.time = VirtualTime()
        self.odds = self.odds_type(self.random)
        self.edges = Edges(self, orders)
        self.log = SimulatedLog(self.time, self.odds, self.random, self.edges.hear)
        self.snapshots = SharedSnapshots(self.time, self.odds, self.random)
        self.builds = engine.product(self.time)
        self.trace: deque[tuple[int, str]] = deque(maxlen=TRACED)
        around = Surroundings(engine, self.time, self.log, self.snapshots, self.odds, self.random, scratch, self._check)
        self._agenda = Agenda(self.time)
        self.after = self._agenda.after
        self.fleet = Fleet(around, self.builds, self._agenda, self.say)
        self._happenings = Happenings(self)
        self._ticks = 0
        self._turns = 0
        self._heads: dict[tuple[str, bytes], bytes] = {}
        for stream in ALL_STREAMS:
            finished(self.log.create_stream(stream, 1 if stream == CONTROL else self.random.randint(1, 4)))

    # --------------------------------------------------------------------------------------------------- the course

    def run(self) -> None:
        """Let everything happen, until all has come to rest."""
        self.fleet.staff()
        self.edges.start()
        self._tick_all()
        while not self.edges.is_done:
            self._turn()
        self._calm_down()
        ends_us = self.time.us + DRAIN_US
        while self.time.us < ends_us:
            self._turn()
        self._agenda.clear()
        while self.fleet.ready(self.time.us):
            self._turn()
        self._require_rest()

    def close(self) -> None:
        """End all that still runs."""
        self.fleet.close()

    @property
    def takes_puts(self) -> bool:
        """Say whether the log is there."""
        return not self.log.is_unavailable

    def put(self, stream: str, entry: Entry, landed: Callable[[], None]) -> None:
        """Put a record of an edge, and tell when it has; while the log is unavailable, the edge tries again."""
        if self.takes_puts:
            finished(self.log.put_surely(stream, entry))
            landed()
        else:
            self.after(SECOND_US // 2, lambda: self.put(stream, entry, landed))

    def merge_at_a_cut_off(self) -> None:
        """Let operators merge shards of the clearing, perhaps."""
        self._happenings.merge_at_a_cut_off()

    def open_shards(self, stream: str) -> list[ShardDescription]:
        """Return the open shards of a stream in the order of their ranges."""
        shards = [shard for shard in self.log.shards_of(stream) if not shard.closed]
        return sorted(shards, key=lambda shard: shard.hash_range.first)

    def say(self, text: str) -> None:
        """Note what happens, for whoever reads the trace of a failure."""
        self.trace.append((self.time.us, text))

    def _turn(self) -> None:
        self._turns += 1
        if self._turns > _TURNS_MAX:
            raise Breach(Invariant.COMES_TO_REST, f"{_TURNS_MAX} turns, and still not at rest")
        ready = self.fleet.ready(self.time.us)
        if ready:
            self._move(*self.random.choice(ready))
            self.time.us += self.random.randrange(_MOMENT_US_MAX)
        else:
            self._agenda.jump()
        self._agenda.run_due()

    def _move(self, owner: Owner, activity: Activity) -> None:
        if owner.is_gone and owner.is_in_mid_commit(activity):
            self.odds.fire(Fault.ZOMBIE_IN_MID_COMMIT)
        known_late = len(self.log.late)
        try:
            owner.move(activity)
        except InvariantViolation:
            raise
        except PipelineError as error:
            self.fleet.end(owner, error)
            return
        if not owner.activities:
            self.fleet.release(owner)
            return
        for late in self.log.late[known_late:]:
            self.after(self.random.randrange(_LATE_US_MAX), partial(self._deliver, late))
        if isinstance(activity.waits_for, int):
            self.after(max(0, activity.waits_for - self.time.us), _nothing)
        if not self.odds.calm:
            self._happenings.perhaps(owner, activity)

    def _deliver(self, late: LatePut) -> None:
        finished(self.log.deliver(late))

    def _check(self, owner: Owner) -> None:
        """Hold a commit against all commits of the same shard before it."""
        shard = owner.shard
        if shard is None:
            return
        meta = shard.committed
        if self._heads.setdefault((meta.source, meta.position), meta.chain_head) != meta.chain_head:
            raise Breach(Invariant.AUDIT_CHAIN, f"{meta.source} has two chain heads at {shard.position}")
        self.say(f"{owner} commits {shard.position}")

    # ------------------------------------------------------------------------------------------------ time and rest

    def _tick_all(self) -> None:
        """Let every owner tell its shard what time its machine takes it for; see that every shard has one."""
        self.fleet.staff()
        if self.takes_puts:
            for owner in self.fleet.owners:
                self._tick(owner)
        self.after(self.calm_tick_us if self.odds.calm else _TICK_US, self._tick_all)

    def _tick(self, owner: Owner) -> None:
        stream, owned = owner.stage.source_stream, owner.description.hash_range
        if owner.shard is None or self.log.tip_of(stream, owner.shard_id).closed:
            return
        self._ticks += 1
        address = owned.first_bytes, owned.last_bytes
        lineage = edge_lineage(2, self._ticks)
        at_us = owner.machine.clock.now_us()
        tick = Envelope(FROM_EDGE, _TICK_KIND, _TICK_VERSION, at_us, *address, lineage, b"ticker", _TICK_BODY)
        finished(self.log.put_surely(stream, Entry(owned.first_bytes, [encode(tick)])))

    def _calm_down(self) -> None:
        """Let nothing go wrong from here on."""
        self.odds.calm = True
        self.edges.stop(_LAST_CUT_OFF_US)
        self.log.unavailable_until_us = self.snapshots.unavailable_until_us = 0
        for owner in self.fleet.owners:
            owner.machine.stores.full = False
            owner.machine.clock.skew_us = 0
        self.say("faults stop")

    def _require_rest(self) -> None:
        for owner in self.fleet.owners:
            if not owner.is_at(self.log.tip_of(owner.stage.source_stream, owner.shard_id).end):
                text = f"{owner} has not come to the end of its shard {DRAIN_US // SECOND_US} s after the faults"
                raise Breach(Invariant.COMES_TO_REST, text)
        current = self.fleet.current()
        for stream, stage in STAGE_OF_STREAM.items():
            for shard in self.open_shards(stream):
                if (stage, shard.shard_id) not in current:
                    raise Breach(Invariant.COMES_TO_REST, f"nobody owns {stage}/{shard.shard_id}")
        timers = sum(owner.shard.timers for owner in current.values() if owner.shard is not None)
        if timers > len(self.edges.limbo):
            text = f"{timers} timers are left at rest, and {len(self.edges.limbo)} payments are in limbo"
            raise Breach(Invariant.BOUNDED, text)
        if self.log.late:
            raise Breach(Invariant.BOUNDED, f"{len(self.log.late)} puts are still on their way")


def _nothing() -> None:
    """Only wake whoever has slept until now."""
