"""One measurement of the authorise stage: durable, exactly once, on one core, with its real agents.

Orders are read from an embedded log, go through the agents over RocksDB, and what comes out is appended, synced and
acknowledged before the state is committed: the commit protocol of a worker, batch by batch, with a worker's settings
and without the worker around it.  The process pins itself to one core before it opens anything, so the threads of
RocksDB and of the log are paid for by the same core, and the last flush of the state is inside the time.

    python -m bench.authorise PREPARED SCRATCH [--parts]

prints a ``Measurement`` as JSON.  With ``--parts`` a stopwatch runs inside the step, which makes the run slower: its
shares are good, its total is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from functools import reduce
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from agents.streams import CLEARING, PAYMENTS
from agents.topology import AUTHORISE
from bench.measurement import NOTHING, Measurement, Spent, now, pin_to_one_core, resident_mib_max
from bench.parts import WatchedStore, watched_engine, watched_stage
from bench.prepared import Prepared, copy_prepared, rocks_stores
from bench.stopwatch import Stopwatch
from pipeline.faust_worker import interpreter
from pipeline.ports import Log, Record, StateStore
from pipeline.publisher import Publisher
from pipeline.settings import StateSettings, WorkerSettings
from pipeline.shard import Shard
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock

PORTIONS: Final = 10


def measure(prepared_folder: Path, scratch: Path, watch: Stopwatch | None = None) -> Measurement:
    """Return what all prepared orders cost; ``scratch`` must not exist, and is the caller's to remove."""
    core = pin_to_one_core()
    prepared = copy_prepared(prepared_folder, scratch)
    stage = AUTHORISE
    clock = SystemClock()
    log = LocalLog(scratch / "log", clock)
    store: StateStore = rocks_stores(scratch / "stores").adopt(stage.name, prepared.shard_id, scratch / "state")
    with ExitStack() as watched:
        if watch is not None:
            watched.enter_context(watched_engine(watch))
            stage, store = watched_stage(stage, watch), WatchedStore(store, watch)
        publisher = Publisher(log, clock, together=asyncio.gather)
        shard = Shard(stage, store, publisher, StateSettings().cached_rows_per_table)
        run = _Run(log, shard, prepared, watch or Stopwatch())
        try:
            asyncio.run(run.drain())
            authorised = asyncio.run(count_authorised(log))
        finally:
            store.close()
            log.close()
    return Measurement(
        prepared,
        core,
        run.total,
        authorised,
        resident_mib_max(),
        run.phases,
        run.portions,
        run.portion_payments,
        watch.seconds() if watch is not None else {},
    )


async def count_authorised(log: Log) -> int:
    """Return how many orders are on the clearing's stream."""
    count = 0
    for shard in await log.shards(CLEARING):
        found = await log.read(CLEARING, shard.shard_id, 0, 1)
        count += found.behind_records + sum(len(record.user_records) for record in found.records)
    return count


class _Run:
    """Drains the orders of a log through a shard."""

    def __init__(self, log: Log, shard: Shard, prepared: Prepared, watch: Stopwatch) -> None:
        self.phases = dict.fromkeys(("read", "step", "publish", "commit"), NOTHING)
        self.portions: list[Spent] = []
        self.portion_payments: list[int] = []
        self._log = log
        self._shard = shard
        self._prepared = prepared
        self._watch = watch
        self._last = NOTHING

    @property
    def total(self) -> Spent:
        """What all phases have spent."""
        return reduce(Spent.plus, self.phases.values())

    async def drain(self) -> None:
        """Take in the participants; then start the clock, and take in every order."""
        prepared, shard, watch = self._prepared, self._shard, self._watch
        await shard.process(await self._read(after=0, limit=1))
        interpreter.prepare()
        after, taken = prepared.first_order, 0
        watch.clear()
        self._last = now()
        while after < prepared.last_order:
            records = await self._read(after, WorkerSettings().batch_user_records_max)
            self._charge("read")
            watch.start()
            outputs = shard.step(records)
            watch.stop()
            self._charge("step")
            await shard.publish(outputs)
            self._charge("publish")
            shard.commit()
            after = records[-1].sequence
            if after >= prepared.last_order:
                shard.store.flush()
            self._charge("commit")
            taken += sum(len(record.user_records) for record in records)
            self._end_portion(taken)

    async def _read(self, after: int, limit: int) -> Sequence[Record]:
        found = await self._log.read(PAYMENTS, self._prepared.shard_id, after, limit)
        return found.records

    def _charge(self, phase: str) -> None:
        """Let ``phase`` pay for the time since the last call."""
        last, self._last = self._last, now()
        self.phases[phase] = self.phases[phase].plus(self._last.less(last))

    def _end_portion(self, taken: int) -> None:
        """Note the portion that ends here, if one does."""
        if taken * PORTIONS >= self._prepared.payments * (len(self.portions) + 1):
            self.portions.append(self.total.less(reduce(Spent.plus, self.portions, NOTHING)))
            self.portion_payments.append(taken - sum(self.portion_payments))


def _main(
    prepared: Path,
    scratch: Path,
    parts: Annotated[bool, typer.Option(help="Run a stopwatch inside the step.")] = False,  # noqa: FBT002
) -> None:
    """Measure the authorise stage over what is prepared in a folder."""
    typer.echo(msgspec.json.encode(measure(prepared, scratch, Stopwatch() if parts else None)))


if __name__ == "__main__":
    typer.run(_main)
