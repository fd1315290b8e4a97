"""D: the recorded streams, read again from nothing and in large batches, give the live heads and states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from chaos.auditor.invariants import Invariant, Problem
from chaos.auditor.reading import Recording
from chaos.virtual_time import finished
from pipeline.kernel.agent import Stage
from pipeline.kernel.meta import Meta
from pipeline.ports import ShardDescription, StateStore
from pipeline.publisher import NoPublisher
from pipeline.restore import Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import END_OF_KEYS, FileDigests
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from pipeline.stream_logs.memory import MemoryLog

T = TypeVar("T")
_AT_ONCE: Final = 200
"""Records a batch: other batches than live ones, so that nothing may depend on where a batch ends."""


@dataclass(frozen=True, slots=True)
class Live:
    """What an owner that has come to rest holds."""

    meta: Meta
    store: StateStore


class Replay:
    """Reads every shard of a stage again."""

    def __init__(self, stage: Stage, log: MemoryLog, recording: Recording, scratch: Path) -> None:
        self._stage = stage
        self._recording = recording
        self._scratch = scratch
        self._stores, self._snapshots = MemoryStores(), MemorySnapshots()
        self._restorer = Restorer(stage, log, self._stores, self._snapshots, scratch)

    def problems(self, live: Mapping[str, Live], ended: Mapping[str, bytes]) -> Iterator[Problem]:
        """Yield each shard whose state differs from what is ``live``, or whose END head from what is ``ended``."""
        stream = self._stage.source_stream
        for shard in self._recording.shards_of(stream):
            again = self._read(shard)
            meta = again.committed
            name = f"{self._stage.name}/{shard.shard_id}"
            if shard.closed:
                if ended.get(shard.shard_id, meta.chain_head) != meta.chain_head:
                    yield Problem(Invariant.DETERMINISTIC, f"{name}: the END head of the replay is another")
                continue
            known = live[shard.shard_id]
            if known.meta != meta:
                yield Problem(Invariant.DETERMINISTIC, f"{name}: live is {known.meta}, and the replay is {meta}")
            elif (difference := _first_difference(known.store, again.store)) is not None:
                yield Problem(Invariant.DETERMINISTIC, f"{name}: {difference}")

    def _read(self, shard: ShardDescription) -> Shard:
        again = Shard(self._stage, finished(self._restorer.restore(shard)), NoPublisher())
        records = self._recording.records_of(self._stage.source_stream, shard.shard_id)
        for first in range(0, len(records), _AT_ONCE):
            finished(again.process(records[first : first + _AT_ONCE]))
        if shard.closed:
            finished(again.finish())
            folder = self._scratch / f"replay-{self._stage.name}-{shard.shard_id}"
            finished(take_snapshot(again, self._stores, self._snapshots, folder, FileDigests(), _at_once))
        return again


def _first_difference(live: StateStore, again: StateStore) -> str | None:
    rows, rows_again = dict(live.scan(b"", END_OF_KEYS)), dict(again.scan(b"", END_OF_KEYS))
    if rows == rows_again:
        return None
    key = min(key for key in rows.keys() | rows_again.keys() if rows.get(key) != rows_again.get(key))
    return f"the row {key!r} is {rows.get(key)!r} live and {rows_again.get(key)!r} in the replay"


async def _at_once(work: Callable[..., T], *args: object) -> T:
    return work(*args)
