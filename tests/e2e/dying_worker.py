"""A worker that is killed at a named step of the commit: twice, and from then on it is an ordinary worker.

    python -m tests.e2e.dying_worker --dies settle:before-publish --stage settle --log local:DIR --data DIR

It is the real worker, over ports that know where they are in the commit.  At the named step of a batch that holds
payments, and not before some were taken in, the process kills itself with SIGKILL: nothing is finished, nothing is
cleaned up.  Production code has no hooks for that and needs none, because between two neighbours of this table nothing
changes outside the process's memory:

    log.read gave payments       before-step
    log.put_records              before-publish; half-published, when there is more to put
    store.write                  before-commit, after-commit
    store.flush                  before-flush, after-flush
    store.checkpoint             after-checkpoint
    the manifest is created      before-manifest, with the snapshot's files stored; after-manifest

State has no write-ahead log, so what a crash leaves is *some* committed batch.  Before the first death the state is
flushed, and the last committed batch is found again; at the second it is whatever was flushed before.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from agents.app import STAGES, WorkerPlan, run_worker
from pipeline.errors import Poison
from pipeline.faust_worker.ports import WorkerPorts
from pipeline.kernel.envelope import FROM_SHARD, decode
from pipeline.kernel.position import Source
from pipeline.settings import Settings, load_settings
from pipeline.state.rocks import RocksStores
from pipeline.state.snapshots import FolderSnapshots
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock
from schemas.codec import KINDS
from schemas.events import ParticipantAnswered, PaymentAuthorised, PaymentSubmitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.kernel.agent import Stage
    from pipeline.ports import Clock, Entry, Landed, Manifest, Refused, Slice, StateStore

DEATHS = 2
TAKEN_IN_FIRST = 15
"""Events of payments that a life takes in before it may end."""
_OF_PAYMENTS = frozenset(
    kind
    for kind, event_type in KINDS.items()
    if event_type in (PaymentSubmitted, PaymentAuthorised, ParticipantAnswered)
)


class Step(StrEnum):
    """Where a worker can be killed; the steps of a batch, then those of a snapshot."""

    BEFORE_STEP = "before-step"
    BEFORE_PUBLISH = "before-publish"
    HALF_PUBLISHED = "half-published"
    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"
    BEFORE_FLUSH = "before-flush"
    AFTER_FLUSH = "after-flush"
    AFTER_CHECKPOINT = "after-checkpoint"
    BEFORE_MANIFEST = "before-manifest"
    AFTER_MANIFEST = "after-manifest"


class Deaths:
    """A file with a line for each death, so that the next life knows."""

    def __init__(self, data: Path) -> None:
        self._file = data / "deaths"

    def note(self, step: Step) -> None:
        with self._file.open("a") as file:
            file.write(f"{step}\n")

    def so_far(self) -> list[str]:
        return self._file.read_text().splitlines() if self._file.exists() else []


class Fuse:
    """Knows how far the worker is, and ends it at the step it was made for."""

    def __init__(self, step: Step, stage: Stage, deaths: Deaths) -> None:
        self.stage = stage
        self.stores: list[StateStore] = []
        self._step = step
        self._deaths = deaths
        self._taken_in = 0
        self._in_hand: set[str] = set()
        self._dying = Lock()

    def take_in_hand(self, shard_id: str, payments: int) -> None:
        """Note that a batch with so many events of payments is about to be processed."""
        self._taken_in += payments
        if payments:
            self._in_hand.add(shard_id)

    def lay_down(self, shard_id: str) -> None:
        """Note that the shard's batch was committed."""
        self._in_hand.discard(shard_id)

    def reach_with_payments(self, step: Step, shard_id: str) -> None:
        """Note that a shard's batch has come to ``step``; the end, if it holds payments."""
        if shard_id in self._in_hand:
            self.reach(step)

    def reach(self, step: Step) -> None:
        """Note that the worker has come to ``step``: the end, if it is the one."""
        if step is self._step and self._taken_in >= TAKEN_IN_FIRST:
            self._die()

    def _die(self) -> None:
        self._dying.acquire()  # never released: whoever comes second waits for the end
        if not self._deaths.so_far():
            for store in self.stores:
                store.flush()
        self._deaths.note(self._step)
        os.kill(os.getpid(), signal.SIGKILL)


class DyingLog(LocalLog):
    """The embedded log, which puts one record at a time."""

    def __init__(self, folder: Path, clock: Clock, fuse: Fuse) -> None:
        super().__init__(folder, clock)
        self._fuse = fuse
        self._published: set[str] = set()

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        given = await super().read(stream, shard_id, after, limit)
        if stream == self._fuse.stage.source_stream:
            user_records = (user_record for record in given.records for user_record in record.user_records)
            self._fuse.take_in_hand(shard_id, sum(map(_is_of_a_payment, user_records)))
            self._published.discard(shard_id)
            self._fuse.reach_with_payments(Step.BEFORE_STEP, shard_id)
        return given

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        results: list[Landed | Refused] = []
        for entry in entries:
            source = _shard_of(entry, self._fuse.stage)
            if source is not None:
                step = Step.HALF_PUBLISHED if source in self._published else Step.BEFORE_PUBLISH
                self._fuse.reach_with_payments(step, source)
                self._published.add(source)
            results += await super().put_records(stream, [entry])
        return results


class DyingStore:
    """The state of one shard of the stage."""

    def __init__(self, store: StateStore, shard_id: str, fuse: Fuse) -> None:
        self._store = store
        self._shard_id = shard_id
        self._fuse = fuse
        fuse.stores.append(store)

    def get(self, key: bytes) -> bytes | None:
        return self._store.get(key)

    def scan(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._store.scan(first, end)

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._fuse.reach_with_payments(Step.BEFORE_COMMIT, self._shard_id)
        self._store.write(changes, dropped)
        self._fuse.reach_with_payments(Step.AFTER_COMMIT, self._shard_id)
        self._fuse.lay_down(self._shard_id)

    def flush(self) -> None:
        self._fuse.reach(Step.BEFORE_FLUSH)
        self._store.flush()
        self._fuse.reach(Step.AFTER_FLUSH)

    def checkpoint(self, folder: Path) -> None:
        self._store.checkpoint(folder)
        self._fuse.reach(Step.AFTER_CHECKPOINT)

    def close(self) -> None:
        self._fuse.stores.remove(self._store)
        self._store.close()


class DyingStores:
    """The stores of a worker; those of other stages are none of our business."""

    def __init__(self, stores: RocksStores, fuse: Fuse) -> None:
        self._stores = stores
        self._fuse = fuse

    def open(self, stage: str, shard_id: str) -> StateStore | None:
        store = self._stores.open(stage, shard_id)
        return None if store is None else self._of(stage, shard_id, store)

    def create(self, stage: str, shard_id: str) -> StateStore:
        return self._of(stage, shard_id, self._stores.create(stage, shard_id))

    def adopt(self, stage: str, shard_id: str, folder: Path) -> StateStore:
        return self._of(stage, shard_id, self._stores.adopt(stage, shard_id, folder))

    def read(self, folder: Path) -> StateStore:
        return self._stores.read(folder)

    def _of(self, stage: str, shard_id: str, store: StateStore) -> StateStore:
        return DyingStore(store, shard_id, self._fuse) if stage == self._fuse.stage.name else store


class DyingSnapshots(FolderSnapshots):
    """The snapshots of a worker."""

    def __init__(self, folder: Path, kept: int, fuse: Fuse) -> None:
        super().__init__(folder, kept)
        self._fuse = fuse

    def _create_manifest(self, manifest: Manifest) -> bool:
        if manifest.stage != self._fuse.stage.name:
            return super()._create_manifest(manifest)
        self._fuse.reach(Step.BEFORE_MANIFEST)
        created = super()._create_manifest(manifest)
        self._fuse.reach(Step.AFTER_MANIFEST)
        return created


def open_dying_ports(fuse: Fuse, plan: WorkerPlan, settings: Settings) -> WorkerPorts:
    """Return the real ports, with a fuse in each."""
    clock = SystemClock()
    return WorkerPorts(
        log=DyingLog(Path(plan.log.removeprefix("local:")), clock, fuse),
        stores=DyingStores(RocksStores(plan.data / "state"), fuse),
        snapshots=DyingSnapshots(plan.data / "snapshots", settings.state.snapshots_kept, fuse),
        clock=clock,
        scratch=plan.data / "scratch",
    )


def _is_of_a_payment(user_record: bytes) -> bool:
    try:
        return decode(user_record).kind in _OF_PAYMENTS
    except Poison:
        return False


def _shard_of(entry: Entry, stage: Stage) -> str | None:
    """Return the shard of ``stage`` that puts ``entry``; None for a tick, and for what another stage puts."""
    envelope = decode(entry.user_records[0])
    if envelope.origin != FROM_SHARD:
        return None
    source = Source.unpack(envelope.source)
    return source.shard_id if source.stream == stage.source_stream else None


def main() -> int:
    """Run the worker; return the exit code of the life that is not killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dies", required=True, metavar="STAGE:STEP")
    parser.add_argument("--stage", action="append", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    plan = WorkerPlan(options.log, options.data, tuple(options.stage))
    settings = load_settings(os.environ)
    deaths = Deaths(options.data)
    if len(deaths.so_far()) == DEATHS:
        return run_worker(plan, settings)
    stage, _, step = options.dies.partition(":")
    fuse = Fuse(Step(step), STAGES[stage], deaths)
    return run_worker(plan, settings, partial(open_dying_ports, fuse))


if __name__ == "__main__":
    sys.exit(main())
