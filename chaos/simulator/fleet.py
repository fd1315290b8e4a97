"""The machines and the owners on them: who owns what, who takes over from whom, and who was right to stop.

An owner that dies is replaced in a moment, on its own machine or on another one.  One that was replaced while it lived
goes on, and does not know: nothing fences it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agents.streams import CLEARING, CONTROL, PAYMENTS
from chaos.simulator.agenda import Agenda
from chaos.simulator.faults import Fault, Recovery
from chaos.simulator.owner import BATCHES_MAX, Activity, Machine, Owner, Surroundings
from chaos.simulator.ports import SimulatedStores
from chaos.simulator.topology import Builds
from chaos.virtual_time import SECOND_US, MachineClock
from pipeline.errors import (
    InvariantViolation,
    LogError,
    PipelineError,
    SnapshotError,
    StateError,
    TrimmedRangeError,
    UnknownBehaviourError,
)
from pipeline.ports import ShardDescription
from pipeline.state.memory import MemoryStore

OWNERS_MAX: Final = 16
"""Alive at once, those included that were replaced."""
HIDDEN_MAX: Final = 3
"""Snapshots that a machine does not see yet."""
STAGE_OF_STREAM: Final = {CONTROL: "control", PAYMENTS: "authorise", CLEARING: "settle"}
STREAM_OF_STAGE: Final = {stage: stream for stream, stage in STAGE_OF_STREAM.items()}
_PAUSE_US_MAX: Final = 6 * SECOND_US
_SKEW_US_MAX: Final = 4 * SECOND_US


class Fleet:
    """All machines and all owners, dead ones left out."""

    def __init__(self, around: Surroundings, builds: Builds, agenda: Agenda, say: Callable[[str], None]) -> None:
        self.owners: list[Owner] = []
        self._around = around
        self._builds = builds
        self._agenda = agenda
        self._say = say
        self._machines = 0
        self._vacant: set[tuple[str, str]] = set()
        """Shards whose owner died, and will be replaced in a moment."""

    def current(self) -> dict[tuple[str, str], Owner]:
        """Return the owner of every shard that has one, by stage and shard; nobody who was replaced."""
        return {owner.key: owner for owner in self.owners if not owner.is_gone}

    def ready(self, now_us: int) -> list[tuple[Owner, Activity]]:
        """Return who can go on, with what."""
        return [
            (owner, activity)
            for owner in self.owners
            if owner.paused_until_us <= now_us
            for activity in owner.activities
            if (waits_for := activity.waits_for) is None
            or (waits_for <= now_us if isinstance(waits_for, int) else waits_for())
        ]

    def staff(self) -> None:
        """See to it that every shard that a stage reads has an owner, or an END snapshot."""
        around = self._around
        ended = {(manifest.stage, manifest.shard_id) for manifest in around.snapshots.all() if manifest.ended}
        taken = self.current().keys() | self._vacant | ended
        for stream, stage in STAGE_OF_STREAM.items():
            for shard in around.log.shards_of(stream):
                if (stage, shard.shard_id) not in taken:
                    self.start(stage, shard, self.new_machine(), 0)

    def start(self, stage: str, description: ShardDescription, machine: Machine, hidden: int) -> Owner:
        """Let a process on ``machine`` own a shard; it does not see the newest ``hidden`` snapshots."""
        owner = Owner(stage, description, machine, self._around, hidden)
        owner.start()
        self.owners.append(owner)
        return owner

    def replace(self, owner: Owner) -> None:
        """Let another machine take a shard over from an owner that goes on, and does not know."""
        if owner.is_gone or len(self.owners) >= OWNERS_MAX:
            return
        self._around.odds.fire(Fault.TWO_OWNERS)
        owner.is_gone = True
        hidden = self._around.random.randint(0, HIDDEN_MAX)
        successor = self.start(owner.stage_name, owner.description, self.new_machine(), hidden)
        self._say(f"{successor} takes over from {owner}, which goes on")

    def pause(self, owner: Owner) -> None:
        """Let an owner stand still where it is, and know nothing of it: what it believes of the log gets old."""
        us = self._around.random.randrange(_PAUSE_US_MAX)
        self._around.odds.fire(Fault.PAUSED)
        owner.paused_until_us = self._around.time.us + us
        self._agenda.after(us, _wake)

    def kill(self, owner: Owner, activity: Activity) -> None:
        """Let an owner die where it is."""
        if activity in owner.activities:
            self._around.odds.fire(activity.moment)
            self._say(f"{owner} dies: {activity.moment}")
            self._bury(owner)

    def release(self, owner: Owner) -> None:
        """Let go of an owner that has read its shard to the end."""
        self.owners.remove(owner)
        self._say(f"{owner} has read its shard to the end")

    def end(self, owner: Owner, error: PipelineError) -> None:
        """End an owner that cannot go on; see whether it was right to stop."""
        self._say(f"{owner} ends: {type(error).__name__}: {error}")
        odds, machine = self._around.odds, owner.machine
        if isinstance(error, UnknownBehaviourError):
            if machine.build is self._builds.new:
                raise InvariantViolation(f"{owner} runs the newest build, and does not know a behaviour: {error}")
            odds.fire(Fault.OLD_BUILD)
            odds.recover(Recovery.HALTED_ON_UNKNOWN_BEHAVIOUR)
            machine.build = self._builds.new
        elif isinstance(error, TrimmedRangeError):
            odds.fire(Fault.TRIM)
            odds.recover(Recovery.HALTED_ON_TRIMMED_RANGE)
        elif isinstance(error, StateError):
            odds.fire(Fault.DISK_FULL)
            machine.stores.full = False
        elif isinstance(error, SnapshotError):
            if "but this worker reads" in str(error):
                odds.recover(Recovery.REFUSED_A_FOREIGN_SNAPSHOT)
        elif not isinstance(error, LogError):
            raise error
        self._bury(owner, keeps_disk=not isinstance(error, TrimmedRangeError))

    def new_machine(self) -> Machine:
        """Return a machine with an empty disk, a clock of its own, and one of the two builds."""
        random, odds = self._around.random, self._around.odds
        self._machines += 1
        skew_us = 0
        if random.random() < odds.of(Fault.CLOCK_SKEWED, 0.4):
            odds.fire(Fault.CLOCK_SKEWED)
            skew_us = random.randint(-_SKEW_US_MAX, _SKEW_US_MAX)
        old = random.random() < odds.of(Fault.OLD_BUILD, 0.2)
        stores = SimulatedStores(self._around.engine.store)
        clock = MachineClock(self._around.time, skew_us)
        build = self._builds.old if old else self._builds.new
        return Machine(self._machines, stores, clock, build, random.choice(BATCHES_MAX))

    def close(self) -> None:
        """End all that still runs."""
        for owner in self.owners:
            owner.die()
        self.owners.clear()

    def _bury(self, owner: Owner, *, keeps_disk: bool = True) -> None:
        """Let a dead owner's shard be taken over in a moment, if it was the owner still."""
        was_owner = not owner.is_gone
        owner.die()
        self.owners.remove(owner)
        if not was_owner:
            return
        random, calm = self._around.random, self._around.odds.calm
        if keeps_disk and (calm or random.choice((True, False))):
            machine, hidden = owner.machine, 0
            self._lose_batches(owner)
        else:
            machine = self.new_machine()
            hidden = 0 if calm or not keeps_disk else random.randint(0, HIDDEN_MAX)
        self._vacant.add(owner.key)
        delay_us = random.choice((0, SECOND_US // 4, SECOND_US))
        self._agenda.after(delay_us, lambda: self._take_over(owner, machine, hidden))

    def _take_over(self, dead: Owner, machine: Machine, hidden: int) -> None:
        self._vacant.discard(dead.key)
        self._say(f"{self.start(dead.stage_name, dead.description, machine, hidden)} starts")

    def _lose_batches(self, owner: Owner) -> None:
        """Lose some of what a machine has not flushed when its process died."""
        random, odds = self._around.random, self._around.odds
        store = owner.machine.stores.open(owner.stage_name, owner.shard_id)
        if isinstance(store, MemoryStore) and store.unflushed and random.random() < odds.of(Fault.BATCHES_LOST, 0.6):
            odds.fire(Fault.BATCHES_LOST)
            store.lose(random.randint(0, store.unflushed))


def _wake() -> None:
    """Only let time come to where an owner goes on."""
