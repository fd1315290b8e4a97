"""What a measurement starts from: a log that holds all orders, and the state of a shard that has a past.

Made once for a size of the world, in a process of its own, and copied for every measurement of it; files that are never
changed are linked.  Making it takes longer than measuring, is inside nobody's time, and leaves nothing in the memory of
a process that is measured.

    python -m bench.prepared FOLDER --accounts 10000 --payments 100000 --claims 0
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from time import process_time, sleep
from typing import Annotated, Final, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.progress import track

from agents.streams import ALL_STREAMS, CLEARING, PAYMENTS
from agents.topology import AUTHORISE
from bench.orders import Orders, listings
from bench.past import Past
from pipeline.kernel.position import Source
from pipeline.ports import Entry, ShardDescription
from pipeline.restore import genesis_rows
from pipeline.settings import StateSettings
from pipeline.state.rocks import RocksSettings, RocksStores
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock

CLEARING_SHARDS: Final = 4
ORDERS_A_RECORD: Final = 250
"""As an edge that is busy would put them."""
_RESTS_SECONDS = 0.5
_RESTS_BELOW = 0.02
"""A database whose threads use less of a core than this has nothing left to do."""


class Prepared(NamedTuple):
    """What is in a folder: ``log``, and ``state`` as a checkpoint."""

    accounts: int
    payments: int
    claims: int
    """In the state; those of the payments come to them."""
    shard_id: str
    """The one shard of the payments stream."""
    first_order: int
    """The sequence number behind which the orders begin: the participants stand before them."""
    last_order: int
    """The sequence number of the record with the last order."""


def prepare(folder: Path, accounts: int, payments: int, claims: int) -> Prepared:
    """Fill ``folder``, which must be empty or missing, and return what is in it."""
    orders = Orders(accounts)
    log = LocalLog(folder / "log", SystemClock())
    try:
        shard, first_order, last_order = asyncio.run(_append(log, orders, payments))
        source = Source(log.incarnation, PAYMENTS, shard.shard_id)
    finally:
        log.close()
    store = rocks_stores(folder / "scratch").create(AUTHORISE.name, shard.shard_id)
    store.write(genesis_rows(AUTHORISE, source, shard.hash_range))
    past = Past(store, orders)
    past.open_accounts(_shown(range(accounts), "accounts"))
    past.claim(_shown(range(claims), "claims"), claims)
    store.flush()
    _wait_until_at_rest()
    store.checkpoint(folder / "state")
    store.close()
    shutil.rmtree(folder / "scratch")
    prepared = Prepared(accounts, payments, claims, shard.shard_id, first_order, last_order)
    (folder / "prepared.json").write_bytes(msgspec.json.encode(prepared))
    return prepared


def copy_prepared(folder: Path, copy: Path) -> Prepared:
    """Copy what is prepared in ``folder`` into ``copy``, which must not exist, to be used up there."""
    shutil.copytree(folder / "log", copy / "log")
    shutil.copytree(folder / "state", copy / "state", copy_function=_link_or_copy)
    return msgspec.json.decode((folder / "prepared.json").read_bytes(), type=Prepared)


def rocks_stores(folder: Path) -> RocksStores:
    """Return the stores of a worker with the settings that it has by default."""
    settings = StateSettings()
    rocks = RocksSettings(settings.block_cache_mib, settings.write_buffers_mib, settings.background_jobs)
    return RocksStores(folder, rocks)


async def _append(log: LocalLog, orders: Orders, payments: int) -> tuple[ShardDescription, int, int]:
    """Append participants and orders; return the shard and the sequence numbers before and of the orders."""
    for stream in ALL_STREAMS:
        await log.create_stream(stream, CLEARING_SHARDS if stream == CLEARING else 1)
    (shard,) = await log.shards(PAYMENTS)
    await log.put_records(PAYMENTS, [Entry(bytes(16), listings())])
    first_order = await log.latest(PAYMENTS, shard.shard_id)
    for first in _shown(range(0, payments, ORDERS_A_RECORD), f"orders, {ORDERS_A_RECORD} at once"):
        numbers = range(first, min(first + ORDERS_A_RECORD, payments))
        await log.put_records(PAYMENTS, [Entry(bytes(16), [orders.record(number) for number in numbers])])
    return shard, first_order, await log.latest(PAYMENTS, shard.shard_id)


def _shown(numbers: range, what: str) -> Iterable[int]:
    """Return ``numbers``, and show on stderr how far the loop over them has come."""
    console = Console(stderr=True)
    return track(numbers, f"writing {what}", console=console, transient=True, disable=not console.is_terminal)


def _wait_until_at_rest() -> None:
    """Return when the database's own threads have nothing left to do: their work must not fall into a measurement."""
    busy = _RESTS_SECONDS
    while busy > _RESTS_BELOW * _RESTS_SECONDS:
        before = process_time()
        sleep(_RESTS_SECONDS)
        busy = process_time() - before


def _link_or_copy(source: str, target: str) -> None:
    """Link a table of the database, which is never changed, and copy anything else."""
    if source.endswith(".sst"):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def _main(
    folder: Path,
    accounts: Annotated[int, typer.Option(min=1)],
    payments: Annotated[int, typer.Option(min=1)],
    claims: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Prepare a folder."""
    prepare(folder, accounts, payments, claims)


if __name__ == "__main__":
    typer.run(_main)
