"""The same agents run by bytewax: the same records from the same log, recovery on, one core.

    log ── a batch ──> decode, key by the debtor's account ──> agents, stateful by key ── a batch ──> log

What bytewax is given: batches as large as ours, which it hands on whole, so that outputs are appended and synced as
many at once as ours are; values that stay decoded between its backups; and neither an audit chain nor watermarks to
keep.  What it does with the state is its own way: every ten seconds the state of each key that was touched since is
pickled into its recovery store.  After a crash it goes on from there, and puts out again what it had put out since.

    python -m bench.bytewax_flow PREPARED SCRATCH

prints a ``Measurement`` as JSON.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import bytewax.operators as op
import msgspec
import typer
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main

from agents.streams import PAYMENTS
from agents.topology import AUTHORISE
from bench.authorise import count_authorised
from bench.keyed_agents import Input, KeyedAgents, Rows
from bench.measurement import NOTHING, Measurement, now, pin_to_one_core, resident_mib_max
from bench.prepared import Prepared, copy_prepared, rocks_stores
from pipeline.faust_worker import interpreter
from pipeline.kernel import keys
from pipeline.kernel.agent import Output
from pipeline.kernel.position import Position, Source
from pipeline.publisher import Publisher
from pipeline.settings import WorkerSettings
from pipeline.state.memory import MemoryStore
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock
from schemas.events import PaymentSubmitted

BACKUP_EVERY: Final = timedelta(seconds=10)
_PART = "all"
_BATCH = WorkerSettings().batch_user_records_max


class UserRecord(NamedTuple):
    """A user record of the log, and where it is."""

    position: bytes
    record: bytes


def measure(prepared_folder: Path, scratch: Path) -> Measurement:
    """Return what all prepared orders cost; ``scratch`` must not exist, and is the caller's to remove."""
    core = pin_to_one_core()
    prepared = copy_prepared(prepared_folder, scratch)
    with asyncio.Runner() as runner:
        clock = SystemClock()
        log = LocalLog(scratch / "log", clock)
        reader = _Reader(log, prepared, runner)
        source = Source(log.incarnation, PAYMENTS, prepared.shard_id)
        agents = KeyedAgents(AUTHORISE, _load(scratch / "state"), source.pack())
        for listing in reader.read(0, 1):
            agents.take(agents.decode(*listing))
        flow = _flow(reader, agents, _Appender(Publisher(log, clock, together=asyncio.gather), runner))
        recovery = scratch / "recovery"
        recovery.mkdir()
        init_db_dir(recovery, 1)
        interpreter.prepare()
        run_main(flow, epoch_interval=BACKUP_EVERY, recovery_config=RecoveryConfig(recovery, BACKUP_EVERY))
        ended = now()
        authorised = runner.run(count_authorised(log))
        log.close()
    return Measurement(prepared, core, ended.less(reader.started), authorised, resident_mib_max())


def _flow(reader: _Reader, agents: KeyedAgents, appender: _Appender) -> Dataflow:
    """Return the dataflow."""

    def keyed(batch: list[UserRecord]) -> list[tuple[str, Input]]:
        decoded = [agents.decode(position, record) for position, record in batch]
        return [(_key(taken.event), taken) for taken in decoded]

    flow = Dataflow("authorise")
    records = op.input("records", flow, _Records(reader))
    orders = op.flat_map_batch("decode", records, keyed)
    outputs = op.stateful_batch("agents", orders, lambda rows: _Account(agents, rows))
    op.output("outputs", outputs, _Outputs(appender))
    return flow


class _Reader:
    """Reads the log in batches, from inside bytewax's own loop."""

    def __init__(self, log: LocalLog, prepared: Prepared, runner: asyncio.Runner) -> None:
        self.prepared = prepared
        self.started = NOTHING
        """When the first batch was asked for: what bytewax does before is not counted."""
        self._log = log
        self._runner = runner

    def read(self, after: int, limit: int) -> list[UserRecord]:
        """Return about ``limit`` user records behind the sequence number ``after``."""
        found = self._runner.run(self._log.read(PAYMENTS, self.prepared.shard_id, after, limit))
        return [
            UserRecord(Position(sequence, number).pack(), user_record)
            for sequence, _, user_records in found.records
            for number, user_record in enumerate(user_records)
        ]

    def start(self) -> None:
        """Note the time, once."""
        if self.started is NOTHING:
            self.started = now()


class _Batches(StatefulSourcePartition):  # type: ignore[misc]  # bytewax comes without types, here and below
    """The one partition of the source."""

    def __init__(self, reader: _Reader, resumed_after: int | None) -> None:
        self._reader = reader
        self._after = resumed_after or reader.prepared.first_order

    def next_batch(self) -> list[UserRecord]:
        self._reader.start()
        if self._after >= self._reader.prepared.last_order:
            raise StopIteration
        batch = self._reader.read(self._after, _BATCH)
        self._after = Position.unpack(batch[-1].position).sequence
        return batch

    def snapshot(self) -> int:
        return self._after


class _Records(FixedPartitionedSource):  # type: ignore[misc]
    """The payments stream."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def list_parts(self) -> list[str]:
        return [_PART]

    def build_part(self, _step: str, _part: str, resume_state: int | None) -> _Batches:
        return _Batches(self._reader, resume_state)


class _Account(StatefulBatchLogic):  # type: ignore[misc]
    """One account, as bytewax keeps it."""

    def __init__(self, agents: KeyedAgents, rows: Rows | None) -> None:
        self._agents = agents
        self._hashed = b""
        if rows:
            agents.restore(rows)

    def on_batch(self, values: list[Input]) -> tuple[list[Output], bool]:
        self._hashed = values[0].envelope.first
        take = self._agents.take
        return [output for taken in values for output in take(taken)], StatefulBatchLogic.RETAIN

    def snapshot(self) -> Rows:
        return self._agents.rows_of(self._hashed)


class _Appender(StatefulSinkPartition):  # type: ignore[misc]
    """The one partition of the sink.  What it is given is on disk when it returns, so it has no state of its own."""

    def __init__(self, publisher: Publisher, runner: asyncio.Runner) -> None:
        self._publisher = publisher
        self._runner = runner

    def write_batch(self, values: list[Output]) -> None:
        self._runner.run(self._publisher.publish(values))

    def snapshot(self) -> None:
        return None


class _Outputs(FixedPartitionedSink):  # type: ignore[misc]
    """Every stream that the agents write to."""

    def __init__(self, appender: _Appender) -> None:
        self._appender = appender

    def list_parts(self) -> list[str]:
        return [_PART]

    def build_part(self, _step: str, _part: str, _resume_state: None) -> _Appender:
        return self._appender


def _key(event: object) -> str:
    if not isinstance(event, PaymentSubmitted):
        raise TypeError(f"only orders are measured, and here is a {type(event).__name__}")
    return event.transfer.debtor.account


def _load(checkpoint: Path) -> MemoryStore:
    """Return the accounts of a prepared state in memory, where bytewax has its state."""
    store = rocks_stores(checkpoint).read(checkpoint)
    try:
        return MemoryStore(dict(store.scan(keys.KEYED, keys.after_prefix(keys.KEYED))))
    finally:
        store.close()


def _main(prepared: Path, scratch: Path) -> None:
    """Measure bytewax over what is prepared in a folder."""
    typer.echo(msgspec.json.encode(measure(prepared, scratch)))


if __name__ == "__main__":
    typer.run(_main)
