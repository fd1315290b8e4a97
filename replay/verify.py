"""Prove that the live system did what the log says: read the recorded streams again, from nothing, and compare.

A stage is a function of its stream.  So its shards are run again over the same records, with the same code, from an
empty state, and with a publisher that publishes nothing; at the position of a live snapshot the chain of digests must
have the same head, and the state the same digest.  If it does not, code, state or log are not what they were.

A live snapshot proves what was read up to it, and nothing of what lies behind.  So the recorded stream is read on to
its end, and there may be nothing new but the time: ticks and cut-off markers, which go on until a worker has stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.errors import Poison
from pipeline.kernel import envelope
from pipeline.kernel.position import Position
from pipeline.kernel.system_events import CycleClosed, Tick, kind_of_type
from pipeline.publisher import NoPublisher
from pipeline.restore import Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests, state_digest
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from replay.recorded import recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pipeline.kernel.agent import Stage
    from pipeline.ports import Log, Manifest, Record, ShardDescription

_TIME = frozenset((kind_of_type[Tick], kind_of_type[CycleClosed]))


@dataclass(frozen=True, slots=True)
class ShardVerdict:
    """What the replay of one shard came to, beside what the live one had come to at the same position."""

    stage: str
    shard_id: str
    position: str
    records: int
    live_head: bytes
    replayed_head: bytes
    live_state: bytes
    replayed_state: bytes
    left_out: int
    """Events behind the live snapshot that are news to it: nothing live was compared with them."""

    @property
    def name(self) -> str:
        """The stage and the number of the shard, which is short enough for a table."""
        return f"{self.stage}/{int(self.shard_id.removeprefix('shardId-'))}"

    @property
    def equal(self) -> bool:
        """Say whether chain head and state are the same, at the end of everything that was recorded."""
        same = self.live_head == self.replayed_head and self.live_state == self.replayed_state
        return same and not self.left_out


class StageReplay:
    """Runs every shard of a stage again, parents before children, each up to its live snapshot."""

    def __init__(self, stage: Stage, log: Log, scratch: Path) -> None:
        self._stage = stage
        self._log = log
        self._scratch = scratch
        self._stores = MemoryStores()
        self._snapshots = MemorySnapshots()
        self._restorer = Restorer(stage, log, self._stores, self._snapshots, scratch)

    async def verify(self, live: Sequence[Manifest]) -> list[ShardVerdict]:
        """Return a verdict per live snapshot: at most one a shard, and for a child those of all its ancestors."""
        shards = {shard.shard_id: shard for shard in await self._log.shards(self._stage.source_stream)}
        manifests = {manifest.shard_id: manifest for manifest in live}
        return [
            await self._verify_shard(shard, manifests[shard_id])
            for shard_id, shard in shards.items()
            if shard_id in manifests
        ]

    async def _verify_shard(self, description: ShardDescription, live: Manifest) -> ShardVerdict:
        store = await self._restorer.restore(description)
        shard = Shard(self._stage, store, NoPublisher())
        await self._read_to(shard, description.shard_id, Position.unpack(live.position))
        if live.ended:
            await shard.finish()
            folder = self._scratch / f"end-{description.shard_id}"
            await take_snapshot(shard, self._stores, self._snapshots, folder, FileDigests())
        replayed = shard.committed
        return ShardVerdict(
            stage=self._stage.name,
            shard_id=description.shard_id,
            position=str(shard.position),
            records=replayed.records,
            live_head=live.chain_head,
            replayed_head=replayed.chain_head,
            live_state=live.state_digest,
            replayed_state=state_digest(store),
            left_out=0 if live.ended else await self._read_on(shard, description.shard_id),
        )

    async def _read_to(self, shard: Shard, shard_id: str, end: Position) -> None:
        async for records in self._behind(shard, shard_id):
            inside = [record for record in records if record.sequence <= end.sequence]
            if inside:
                await shard.process(inside)
            if len(inside) < len(records):
                return

    async def _read_on(self, shard: Shard, shard_id: str) -> int:
        """Take in all events to the end of what was recorded; return how many were news."""
        known = shard.committed.records
        async for records in self._behind(shard, shard_id):
            events = [record._replace(user_records=_without_time(record.user_records)) for record in records]
            await shard.process([record for record in events if record.user_records])
        return shard.committed.records - known

    def _behind(self, shard: Shard, shard_id: str) -> AsyncIterator[Sequence[Record]]:
        return recorded(self._log, self._stage.source_stream, shard_id, shard.position.sequence)


async def verify_stage(stage: Stage, log: Log, live: Sequence[Manifest]) -> list[ShardVerdict]:
    """Replay the recorded stream of ``stage`` from nothing and compare it with its ``live`` snapshots."""
    with TemporaryDirectory() as scratch:
        return await StageReplay(stage, log, Path(scratch)).verify(live)


def _without_time(user_records: Sequence[bytes]) -> Sequence[bytes]:
    return [record for record in user_records if not _is_time(record)]


def _is_time(record: bytes) -> bool:
    """Say whether a record only tells what time it is."""
    try:
        return envelope.decode(record).kind in _TIME
    except Poison:
        return False
