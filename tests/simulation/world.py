"""A small world: one stream that is its own reader, owners who crash and come back, zombies, splits, merges, late puts.

Owners are coroutines, and nothing but the seed says whose turn it is.  What runs is the real engine on its ports in
memory; the faults are in the ports, and in what becomes of the owners.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, HASH_BYTES, hash_key
from pipeline.kernel.system_events import Tick
from pipeline.kernel.system_events import encode as encode_system_event
from pipeline.ports import Entry, Manifest, ShardDescription
from pipeline.publisher import Publisher
from pipeline.restore import ParentsNotEndedError, Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from tests.coroutines import finished
from tests.faulty_log import Fate, FaultyLog, ForkError
from tests.simulation.toy_payments import (
    ACCOUNTS,
    CYCLE_US,
    HORIZON_US,
    LEDGER,
    PARKED,
    RESULTS,
    SECOND_US,
    CutOffSet,
    Paid,
    UpgradeAsked,
    account_name,
    toy_stage,
)

T = TypeVar("T")
Happening = Callable[[], None]

SHARDS_MAX = 8
"""Open at once."""
OWNERS_MAX = 40
BATCH_MAX = 6
DRAIN_ROUNDS_MAX = 30_000
TURNS_BETWEEN_TRIES = 10
SENT_AGAIN_MAX = 30
JITTER_SECONDS = 30


class StuckError(Exception):
    """The world does not come to rest once nothing happens any more."""


class WorldClock:
    """Time that only the world moves; whoever sleeps lets others run."""

    def __init__(self) -> None:
        self.time_us = 1_000_000 * SECOND_US

    def now_us(self) -> int:
        return self.time_us

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def undoable_stores() -> MemoryStores:
    """Return stores whose last batches can be lost."""
    return MemoryStores(undoable=True)


@dataclass(frozen=True, slots=True)
class Engine:
    """What a world runs: the engine, or the engine with one rule broken."""

    shard: type[Shard] = Shard
    publisher: type[Publisher] = Publisher
    restorer: type[Restorer] = Restorer
    stores: Callable[[], MemoryStores] = undoable_stores


@dataclass(frozen=True, slots=True)
class Machine:
    """Where an owner keeps its state."""

    stores: MemoryStores
    scratch: Path


class OlderSnapshots(MemorySnapshots):
    """Snapshots of which the newest of one shard are not to be seen yet."""

    def __init__(self, snapshots: MemorySnapshots, shard_id: str, hidden: int) -> None:
        super().__init__()
        self._snapshots = snapshots
        self._shard_id = shard_id
        self._hidden = hidden

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        await self._snapshots.publish(manifest, folder)

    async def manifests(self, stage: str, shard_id: str) -> list[Manifest]:
        found = list(await self._snapshots.manifests(stage, shard_id))
        return found[self._hidden :] if shard_id == self._shard_id else found

    async def fetch(self, manifest: Manifest, folder: Path) -> None:
        await self._snapshots.fetch(manifest, folder)


@dataclass(slots=True, eq=False)
class Owner:
    """A process that takes itself for the owner of a shard."""

    description: ShardDescription
    machine: Machine
    activities: list[Coroutine[Any, Any, None]] = field(default_factory=list)
    shard: Shard | None = None

    @property
    def is_ended(self) -> bool:
        return self.shard is not None and self.shard.committed.ended and not self.activities

    def is_at(self, sequence: int) -> bool:
        """Say whether everything up to ``sequence`` is read, and nothing is going on beside."""
        return self.shard is not None and len(self.activities) == 1 and self.shard.position.sequence == sequence


class World:
    """Everything that a seed decides."""

    def __init__(self, seed: int, scratch: Path, engine: Engine) -> None:
        self.random = Random(seed)
        self.engine = engine
        self.clock = WorldClock()
        self.log = FaultyLog(self.clock, self._fate)
        self.stage = toy_stage()
        self.snapshots = MemorySnapshots()
        self.owners: list[Owner] = []
        self.payments: dict[int, str] = {}
        """Number -> account, of what was sent."""
        self.garbage: list[bytes] = []
        """Records that nobody can decode."""
        self.cycles = 0
        """Cut-offs that were set."""
        self.scratch = scratch
        self._folders = 0
        self._calm = False
        self._heads: dict[tuple[str, bytes], bytes] = {}
        self._sent: list[Paid] = []
        for stream in (LEDGER, RESULTS, PARKED):
            finished(self.log.create_stream(stream, self.random.randint(1, 4)))
        self._staff()

    def run(self, payments: int) -> None:
        """Let things happen until so many payments were sent, then let the world come to rest."""
        happenings, weights = zip(*self._happenings(), strict=True)
        while len(self.payments) < payments:
            self.clock.time_us += self.random.choice((0, SECOND_US))
            (happening,) = self.random.choices(happenings, weights)
            happening()
        self._calm = True
        for _ in range(4):
            self._come_to_rest()
            self.clock.time_us += 3 * HORIZON_US
            for shard in self._open_shards(LEDGER):
                self._tick(shard)
        self._come_to_rest()

    def close(self) -> None:
        """End all that still runs."""
        for owner in self.owners[:]:
            self._kill(owner)

    def leaves(self) -> list[Shard]:
        """Return, for every open shard, one that has read all of it."""
        opened = [shard.shard_id for shard in self._open_shards(LEDGER)]
        owned = {owner.description.shard_id: owner.shard for owner in self.owners if owner.shard is not None}
        return [owned[shard_id] for shard_id in opened]

    # ---------------------------------------------------------------------------------------------- what happens

    def _happenings(self) -> Iterable[tuple[Happening, float]]:
        return (
            (self._somebody_moves, 75),
            (self._a_payment_is_sent, 12),
            (self._a_payment_is_sent_again, 1),
            (self._a_tick_is_sent, 4),
            (self._a_cut_off_is_set, 0.7),
            (self._an_upgrade_is_asked_for, 0.3),
            (self._garbage_is_sent, 0.5),
            (self._a_late_put_arrives, 2),
            (self._the_ledger_is_resharded, 1.5),
            (self._the_results_are_resharded, 0.5),
            (self._an_owner_is_replaced, 2),
            (self._a_machine_is_restarted, 1.5),
            (self._an_ended_shard_is_read_again, 0.5),
        )

    def _fate(self) -> Fate:
        weights = (90, 4, 3, 3) if self._calm else (70, 10, 10, 10)
        (fate,) = self.random.choices((Fate.LANDED, Fate.REFUSED, Fate.UNACKNOWLEDGED, Fate.LATE), weights)
        return fate

    def _somebody_moves(self) -> None:
        owners = [owner for owner in self.owners if owner.activities]
        if owners:
            self._move(self.random.choice(owners))

    def _move(self, owner: Owner) -> None:
        activity = self.random.choice(owner.activities)
        try:
            activity.send(None)
        except StopIteration:
            owner.activities.remove(activity)

    def _a_payment_is_sent(self) -> None:
        number = len(self.payments)
        account = account_name(self.random.randrange(ACCOUNTS))
        later = self.random.random() < 1 / 3
        paid = Paid(account, number, self.random.randrange(20, 60) * SECOND_US if later else 0)
        self.payments[number] = account
        self._sent.append(paid)
        self._put(account, paid)

    def _a_payment_is_sent_again(self) -> None:
        if self._sent:
            again = self.random.choice(self._sent[-SENT_AGAIN_MAX:])  # within the horizon
            self._put(again.account, again)

    def _a_tick_is_sent(self) -> None:
        self._tick(self.random.choice(self._open_shards(LEDGER)))

    def _tick(self, shard: ShardDescription) -> None:
        kind, version, body = encode_system_event(Tick())
        whole = (FULL_RANGE.first_bytes, FULL_RANGE.last_bytes)
        envelope = Envelope(FROM_EDGE, kind, version, self._some_time_us(), *whole, edge_lineage(1, 1), b"ticker", body)
        finished(self.log.put_surely(LEDGER, Entry(shard.hash_range.first_bytes, [encode(envelope)])))

    def _a_cut_off_is_set(self) -> None:
        at_us = self.clock.time_us + CYCLE_US // 2
        self._put("calendar", CutOffSet(self.cycles, at_us))
        self.cycles += 1

    def _an_upgrade_is_asked_for(self) -> None:
        self._put("calendar", UpgradeAsked(version=2))

    def _garbage_is_sent(self) -> None:
        garbage = b"garbage %d" % len(self.garbage)
        self.garbage.append(garbage)
        finished(self.log.put_surely(LEDGER, Entry(self.random.randbytes(HASH_BYTES), [garbage])))

    def _put(self, key: str, event: object) -> None:
        hashed = hash_key(key)
        kind, version, body = self.stage.codec.encode(event)
        at_us = self._some_time_us()
        envelope = Envelope(FROM_EDGE, kind, version, at_us, hashed, hashed, edge_lineage(1, 1), b"edge", body)
        finished(self.log.put_surely(LEDGER, Entry(hashed, [encode(envelope)])))

    def _some_time_us(self) -> int:
        jitter = 0 if self._calm else self.random.randint(-JITTER_SECONDS, JITTER_SECONDS)
        return self.clock.time_us + jitter * SECOND_US

    def _a_late_put_arrives(self) -> None:
        if self.log.late:
            finished(self.log.deliver(self.random.choice(self.log.late)))

    def _the_ledger_is_resharded(self) -> None:
        self._reshard(LEDGER)

    def _the_results_are_resharded(self) -> None:
        self._reshard(RESULTS)

    def _reshard(self, stream: str) -> None:
        opened = self._open_shards(stream)
        shard = self.random.choice(opened)
        if self.random.random() < 0.5 and len(opened) < SHARDS_MAX:
            at = self.random.randint(shard.hash_range.first + 1, shard.hash_range.last)
            finished(self.log.split(stream, shard.shard_id, at))
        else:
            for other in opened:
                if other.hash_range.first == shard.hash_range.last + 1:
                    finished(self.log.merge(stream, shard.shard_id, other.shard_id))
        self._staff()

    def _an_owner_is_replaced(self) -> None:
        """Another machine takes over, from any older snapshot; who was the owner sometimes does not know."""
        owner = self.random.choice(self.owners)
        if self.random.random() < 0.6 or len(self.owners) > OWNERS_MAX:
            self._kill(owner)
        self._start(owner.description, self._new_machine(), hidden=self.random.randint(0, 3))

    def _a_machine_is_restarted(self) -> None:
        """The owner's process dies, and its machine has lost what was not flushed."""
        owner = self.random.choice(self.owners)
        self._kill(owner)
        store = owner.machine.stores.open(self.stage.name, owner.description.shard_id)
        if store is not None:
            store.lose(self.random.randint(0, store.unflushed))
        self._start(owner.description, owner.machine, hidden=0)

    def _an_ended_shard_is_read_again(self) -> None:
        ended = [owner.description for owner in self.owners if owner.is_ended]
        if ended and len(self.owners) < OWNERS_MAX:
            self._start(self.random.choice(ended), self._new_machine(), hidden=self.random.randint(1, 4))

    # -------------------------------------------------------------------------------------------------- the owners

    def _staff(self) -> None:
        """See to it that every shard has an owner."""
        owned = {owner.description.shard_id for owner in self.owners}
        for shard in finished(self.log.shards(LEDGER)):
            if shard.shard_id not in owned:
                self._start(shard, self._new_machine(), hidden=0)

    def _start(self, description: ShardDescription, machine: Machine, *, hidden: int) -> None:
        owner = Owner(description, machine)
        owner.activities.append(self._own(owner, OlderSnapshots(self.snapshots, description.shard_id, hidden)))
        self.owners.append(owner)

    def _kill(self, owner: Owner) -> None:
        for activity in owner.activities:
            activity.close()
        self.owners.remove(owner)

    async def _own(self, owner: Owner, snapshots: MemorySnapshots) -> None:
        restorer = self.engine.restorer(self.stage, self.log, owner.machine.stores, snapshots, owner.machine.scratch)
        while owner.shard is None:
            try:
                store = await restorer.restore(owner.description)
            except ParentsNotEndedError:
                await _wait()
                continue
            publisher = self.engine.publisher(self.log, self.clock, together=self._side_by_side)
            owner.shard = self.engine.shard(self.stage, store, publisher)
        shard, shard_id = owner.shard, owner.description.shard_id
        ended = False
        while not ended:
            limit = self.random.randint(1, BATCH_MAX)
            found = await self.log.read(LEDGER, shard_id, shard.position.sequence, limit)
            if found.records:
                await shard.process(found.records)
                self._compare_heads(shard)
                if len(owner.activities) == 1 and self.random.random() < 0.1:
                    owner.activities.append(self._snapshot(owner, shard))
            ended = found.ended
        await shard.finish()
        self._compare_heads(shard)
        await self._snapshot(owner, shard)

    async def _snapshot(self, owner: Owner, shard: Shard) -> None:
        folder = self._new_folder()
        await take_snapshot(shard, owner.machine.stores, self.snapshots, folder, FileDigests(), in_turn)

    async def _side_by_side(self, *work: Awaitable[None]) -> None:
        """Give one of ``work`` its turn after the other, in any order, until all is done."""
        left = [one.__await__() for one in work]
        try:
            while left:
                turn = self.random.choice(left)
                try:
                    next(turn)
                except StopIteration:
                    left.remove(turn)
                await asyncio.sleep(0)
        finally:
            for unfinished in left:
                unfinished.close()

    def _compare_heads(self, shard: Shard) -> None:
        meta = shard.committed
        if self._heads.setdefault((meta.source, meta.position), meta.chain_head) != meta.chain_head:
            raise ForkError(f"{meta.source} has two chain heads at {shard.position}")

    def _new_machine(self) -> Machine:
        return Machine(self.engine.stores(), self._new_folder())

    def _new_folder(self) -> Path:
        self._folders += 1
        return self.scratch / str(self._folders)

    # -------------------------------------------------------------------------------------------------------- rest

    def _come_to_rest(self) -> None:
        for _ in range(DRAIN_ROUNDS_MAX):
            for owner in self.owners:
                if owner.activities:
                    self._move(owner)
            while self.log.late:
                self._a_late_put_arrives()
            if self._is_at_rest():
                return
        raise StuckError("somebody never came to the end of a shard")

    def _is_at_rest(self) -> bool:
        return all(
            owner.is_ended or owner.is_at(finished(self.log.latest(LEDGER, owner.description.shard_id)))
            for owner in self.owners
        )

    def _open_shards(self, stream: str) -> list[ShardDescription]:
        shards = [shard for shard in finished(self.log.shards(stream)) if not shard.closed]
        return sorted(shards, key=lambda shard: shard.hash_range.first)


async def _wait() -> None:
    for _ in range(TURNS_BETWEEN_TRIES):
        await asyncio.sleep(0)


async def in_turn(work: Callable[..., T], *args: object) -> T:
    """Do what would be done in a thread when it is this coroutine's turn again."""
    await asyncio.sleep(0)
    return work(*args)
