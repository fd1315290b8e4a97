"""What goes wrong between two moves: crashes, take-overs, resharding, outages, rot, trims, clocks and nights.

What goes wrong within a put, a read or a fetch is in the ports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from agents.streams import CLEARING, OUTBOUND, OUTCOMES, PARKED, PAYMENTS
from chaos.simulator.faults import Fault
from chaos.simulator.fleet import STREAM_OF_STAGE
from chaos.simulator.owner import Activity, Owner
from chaos.virtual_time import HOUR_US, SECOND_US, MachineClock, finished
from pipeline.kernel.position import Position
from pipeline.ports import Manifest, ShardDescription

if TYPE_CHECKING:
    from chaos.simulator.world import World

Happening = Callable[[Owner, Activity], None]

SHARDS_MAX: Final = 6
"""Open at once in a stream."""
_OUTAGE_US_MAX: Final = 8 * SECOND_US
_JUMP_US_MAX: Final = 48 * HOUR_US
_JUMPED_FOR_US: Final = 10 * SECOND_US
_NIGHT_US: Final = 13 * HOUR_US
_RESHARDED: Final = (PAYMENTS, PAYMENTS, CLEARING, CLEARING, CLEARING, OUTBOUND, OUTCOMES, PARKED)


class Happenings:
    """Decides at each move whether something goes wrong, and what."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._trimmed = False
        self._jumped: list[MachineClock] = []
        chances = tuple(self._chances())
        self._odds = [odds for odds, _ in chances]
        self._happenings = [happening for _, happening in chances]
        self._any = sum(self._odds)

    def perhaps(self, owner: Owner, activity: Activity) -> None:
        """Let something happen, or nothing, behind a move of ``owner``."""
        random = self._world.random
        if random.random() < self._any:
            (happening,) = random.choices(self._happenings, self._odds)
            happening(owner, activity)

    def merge_at_a_cut_off(self) -> None:
        """Merge shards of the clearing, perhaps, when a marker has reached some of them: they stand at two cycles."""
        if self._world.random.random() < self._world.odds.of(Fault.MERGE, 0.8):
            self._merge(CLEARING)

    def _chances(self) -> Iterator[tuple[float, Happening]]:
        """Yield what may go wrong at a move in the world of this seed, each with its probability."""
        of, fleet = self._world.odds.of, self._world.fleet
        yield of(Fault.CRASH_BEFORE_COMMIT, 0.003), fleet.kill
        yield of(Fault.TWO_OWNERS, 0.001), lambda owner, _: fleet.replace(owner)
        yield of(Fault.PAUSED, 0.001), lambda owner, _: fleet.pause(owner)
        yield of(Fault.SPLIT, 0.0008), self._reshard
        yield of(Fault.SNAPSHOT_CORRUPT, 0.002), self._rot
        yield of(Fault.LOG_UNAVAILABLE, 0.0002), self._lose_the_log
        yield of(Fault.SNAPSHOTS_UNAVAILABLE, 0.0003), self._lose_the_snapshots
        yield of(Fault.DISK_FULL, 0.0005), self._fill_the_disk
        yield of(Fault.CLOCK_JUMPED, 0.0005), self._jump
        yield of(Fault.TRIM, 0.0008), self._trim
        yield of(Fault.NIGHT, 0.00003), self._sleep_over

    def _reshard(self, _owner: Owner, _activity: Activity) -> None:
        """Split or merge shards of a stream, often of one that is just being written to by a map that gets old."""
        random = self._world.random
        written_to = [stream for stream in self._world.log.written_to if stream in _RESHARDED]
        stream = random.choice(random.choice((written_to or _RESHARDED, _RESHARDED)))
        if random.choice((True, False)):
            self._split(stream)
        else:
            self._merge(stream)

    def _split(self, stream: str) -> None:
        world = self._world
        opened = world.open_shards(stream)
        if len(opened) < SHARDS_MAX:
            shard = world.random.choice(opened)
            at = world.random.randint(shard.hash_range.first + 1, shard.hash_range.last)
            finished(world.log.split(stream, shard.shard_id, at))
            self._note(Fault.SPLIT, stream, shard)

    def _merge(self, stream: str) -> None:
        world = self._world
        opened = world.open_shards(stream)
        if len(opened) > 1:
            number = world.random.randrange(len(opened) - 1)
            low, high = opened[number : number + 2]
            finished(world.log.merge(stream, low.shard_id, high.shard_id))
            self._note(Fault.MERGE, stream, low, high)

    def _note(self, fault: Fault, stream: str, *parents: ShardDescription) -> None:
        world = self._world
        world.odds.fire(fault)
        if any(parent.parents for parent in parents):
            world.odds.fire(Fault.SPLIT_OF_A_CHILD)
        world.say(f"{fault}: {stream}/{' and '.join(parent.shard_id[-4:] for parent in parents)}")
        world.fleet.staff()

    def _rot(self, _owner: Owner, _activity: Activity) -> None:
        """Damage a snapshot; one that the log cannot make up for any more is spared."""
        snapshots = self._world.snapshots
        manifests = snapshots.all()
        if manifests:
            manifest = self._world.random.choice(manifests)
            if not self._is_needed(manifest):
                snapshots.rot(manifest)

    def _is_needed(self, manifest: Manifest) -> bool:
        """Say whether records that a snapshot stands for may be gone, and no other one stands for them."""
        if not self._trimmed:
            return False
        usable = self._usable(manifest.stage, manifest.shard_id)
        return manifest.ended or manifest not in usable or len(usable) == 1

    def _usable(self, stage: str, shard_id: str) -> list[Manifest]:
        """Return the snapshots that are whole and that the log can go on from, the newest first."""
        log, snapshots = self._world.log, self._world.snapshots
        trimmed_through = finished(log.trim_horizon(STREAM_OF_STAGE[stage], shard_id))
        return [
            manifest
            for manifest in finished(snapshots.manifests(stage, shard_id))
            if all(map(snapshots.is_whole, manifest.files.values()))
            and Position.unpack(manifest.position).sequence >= trimmed_through
        ]

    def _trim(self, _owner: Owner, _activity: Activity) -> None:
        """Remove records that the two newest snapshots do not need; who starts from an older one must halt."""
        world, log = self._world, self._world.log
        self._trimmed = True
        for stage, stream in STREAM_OF_STAGE.items():
            for shard in world.open_shards(stream):
                usable = self._usable(stage, shard.shard_id)
                if len(usable) > 1:
                    kept_after = Position.unpack(usable[1].position).sequence
                    archive = log.archive[stream, shard.shard_id]
                    arrived = [record.arrival_us for record in archive if record.sequence > kept_after]
                    finished(log.trim(stream, shard.shard_id, min(arrived, default=world.time.us)))

    def _lose_the_log(self, _owner: Owner, _activity: Activity) -> None:
        world = self._world
        world.odds.fire(Fault.LOG_UNAVAILABLE)
        world.log.unavailable_until_us = world.time.us + world.random.randrange(_OUTAGE_US_MAX)
        world.say("the log is unavailable for a while")

    def _lose_the_snapshots(self, _owner: Owner, _activity: Activity) -> None:
        world = self._world
        world.odds.fire(Fault.SNAPSHOTS_UNAVAILABLE)
        world.snapshots.unavailable_until_us = world.time.us + world.random.randrange(_OUTAGE_US_MAX)
        world.say("the snapshot store is unavailable for a while")

    def _fill_the_disk(self, owner: Owner, _activity: Activity) -> None:
        owner.machine.stores.full = True
        self._world.say(f"the disk of {owner} is full")

    def _jump(self, owner: Owner, _activity: Activity) -> None:
        """Let a machine's clock be far off for a while."""
        world, clock = self._world, owner.machine.clock
        skew_us = world.random.choice((-1, 1)) * world.random.randrange(_JUMP_US_MAX)
        if clock in self._jumped:
            return
        world.odds.fire(Fault.CLOCK_JUMPED)
        before_us, clock.skew_us = clock.skew_us, skew_us
        self._jumped.append(clock)

        def mend() -> None:
            self._jumped.remove(clock)
            clock.skew_us = 0 if world.odds.calm else before_us

        world.after(_JUMPED_FOR_US, mend)

    def _sleep_over(self, _owner: Owner, _activity: Activity) -> None:
        world = self._world
        world.odds.fire(Fault.NIGHT)
        world.edges.workload.forget()
        world.time.us += world.random.randrange(_NIGHT_US, 3 * _NIGHT_US)
        world.say("hours pass")
