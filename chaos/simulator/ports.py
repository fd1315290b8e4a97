"""The disks of machines and the snapshots that they share, in memory, going wrong as they do in life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from chaos.simulator.faults import Fault, Odds, Recovery
from chaos.virtual_time import NEXT_TURN, VirtualTime
from pipeline.errors import SnapshotError, StateError
from pipeline.ports import Manifest
from pipeline.state.memory import MemoryStore, MemoryStores
from pipeline.state.snapshots import MemorySnapshots


class SimulatedStore(MemoryStore):
    """A store whose disk may be full."""

    disk: SimulatedStores

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Apply one batch, or none of it."""
        if self.disk.full:
            raise StateError("state cannot be written: no space left on device")
        super().write(changes, dropped)


class SimulatedStores(MemoryStores):
    """The disk of one machine: what was not flushed is lost when it goes down."""

    def __init__(self, kind: type[SimulatedStore]) -> None:
        super().__init__(undoable=True)
        self.full = False
        self._kind = kind

    def _new(self, pairs: Mapping[bytes, bytes] | None = None) -> SimulatedStore:
        store = self._kind(pairs, undoable=True)
        store.disk = self
        return store


class SnapshotsOfAMachine:
    """The snapshots as one machine sees them: perhaps not the newest, perhaps none, perhaps another shard's."""

    def __init__(self, shared: SharedSnapshots, shard_id: str, hidden: int) -> None:
        self._shared = shared
        self._shard_id = shard_id
        self._hidden = hidden

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        """Store a snapshot."""
        await NEXT_TURN
        self._shared.check_available()
        await self._shared.publish(manifest, folder)

    async def manifests(self, stage: str, shard_id: str) -> Sequence[Manifest]:
        """Return the shard's snapshots, the newest first."""
        await NEXT_TURN
        self._shared.check_available()
        found = list(await self._shared.manifests(stage, shard_id))
        if shard_id != self._shard_id:
            return found
        if self._hidden and len(found) > self._hidden:
            self._shared.odds.fire(Fault.SNAPSHOT_STALE)
        return self._shared.with_a_stranger(found[self._hidden :])

    async def fetch(self, manifest: Manifest, folder: Path) -> None:
        """Write the snapshot's files into ``folder``, and verify each."""
        await NEXT_TURN
        self._shared.check_available()
        try:
            await self._shared.fetch(manifest, folder)
        except SnapshotError:
            self._shared.odds.recover(Recovery.PASSED_OVER_A_SNAPSHOT)
            raise

    async def set_aside(self, manifest: Manifest) -> bool:
        """Hide a snapshot that is damaged."""
        self._shared.check_available()
        return await self._shared.set_aside(manifest)

    async def retire(self, stage: str, shard_id: str) -> None:
        """Remove the shard's old snapshots."""
        await self._shared.retire(stage, shard_id)


class SharedSnapshots(MemorySnapshots):
    """All snapshots of the world, and what becomes of them."""

    def __init__(self, time: VirtualTime, odds: Odds, random: Random) -> None:
        super().__init__(kept=4)
        self.odds = odds
        self.unavailable_until_us = 0
        self._time = time
        self._random = random
        self._ended: set[str] = set()

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        """Store a snapshot."""
        if manifest.ended:
            if manifest.source in self._ended and manifest not in self._manifests.values():
                self.odds.recover(Recovery.END_MADE_AGAIN)
            self._ended.add(manifest.source)
        await super().publish(manifest, folder)

    def check_available(self) -> None:
        """Raise ``SnapshotError`` while nothing can be stored or fetched."""
        if self._time.us < self.unavailable_until_us:
            raise SnapshotError("the snapshot store is unavailable")

    def all(self) -> list[Manifest]:
        """Return all manifests, in the order in which they were made."""
        return list(self._manifests.values())

    def with_a_stranger(self, manifests: list[Manifest]) -> list[Manifest]:
        """Return ``manifests``, or with one of another shard in the place of the newest."""
        if manifests and self._random.random() < self.odds.of(Fault.SNAPSHOT_SWAPPED, 0.08):
            newest = manifests[0]
            strangers = [other for other in self.all() if other.source != newest.source]
            if strangers:
                self.odds.fire(Fault.SNAPSHOT_SWAPPED)
                stranger = replace(self._random.choice(strangers), stage=newest.stage, shard_id=newest.shard_id)
                return [stranger, *manifests[1:]]
        return manifests

    def rot(self, manifest: Manifest) -> None:
        """Damage, cut or lose a snapshot."""
        (digest,) = manifest.files.values()
        content = self.files.get(digest)
        if not content:
            return
        fault = self._random.choice((Fault.SNAPSHOT_CORRUPT, Fault.SNAPSHOT_TRUNCATED, Fault.SNAPSHOT_LOST))
        if self._random.random() < self.odds.of(fault, 0.5):
            self.odds.fire(fault)
            at = self._random.randrange(len(content))
            if fault is Fault.SNAPSHOT_CORRUPT:
                self.files[digest] = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
            elif fault is Fault.SNAPSHOT_TRUNCATED:
                self.files[digest] = content[:at]
            else:
                del self.files[digest]
