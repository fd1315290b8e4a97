"""The projector: what became of every payment, in tables that anybody can query.

It tails the outcomes and the parked records, and counts what was submitted on the payments stream, so that the books
close: submitted = settled + rejected + held + repeated + conflicts + parked + limbo + in flight.

A submission is a record that an edge put on the payments stream, or one that is no envelope at all.  What a producer
put twice counts twice, and ends twice: once as what it is, once as a repeat.

The tables are in SQLite (``projector_store``), where effects and positions are one transaction, or in DynamoDB
(``dynamo_tables``), where positions follow the effects and everything that is written again changes nothing.  A batch
is what came within a tenth of a second.
"""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from agents.edge.process import Stop, Turns, edge_arguments, run_process
from agents.edge.projections import is_submission, project
from agents.edge.projector_store import Changes, Heading
from agents.edge.projector_tables import FORMS, open_tables
from agents.edge.reader import Places, StreamTail, event_of
from agents.streams import OUTCOMES, PARKED, PAYMENTS
from pipeline.errors import Poison
from pipeline.stream_logs.naming import open_log, region_of

if TYPE_CHECKING:
    from pipeline.ports import Clock, Log

IDLE_SECONDS = 0.1

logger = logging.getLogger("payments.edge.projector")


class ProjectorTables(Places, Protocol):
    """Where the projector keeps what it knows; the same written again, in whatever order, changes nothing."""

    def batch(self, changes: Changes) -> AbstractContextManager[object]:
        """Write ``changes``, and what is stored inside the block: together, or in this order."""

    def close(self) -> None:
        """Release what is held."""


class Projector:
    """Keeps the tables up to date."""

    def __init__(self, log: Log, tables: ProjectorTables) -> None:
        self._tables = tables
        self._ended = [StreamTail(log, stream, tables) for stream in (OUTCOMES, PARKED)]
        self._submitted = StreamTail(log, PAYMENTS, tables)
        self._tails = (*self._ended, self._submitted)
        self.taken = 0

    async def turn(self) -> bool:
        """Take in what has come; say whether there is more at once."""
        changes = Changes()
        for tail in self._ended:
            for arrived in await tail.read():
                if arrived.envelope is None:
                    raise Poison(f"{arrived.stream}/{arrived.shard_id}: record {arrived.position} is no envelope")
                heading = Heading(arrived.envelope.source, arrived.envelope.lineage, arrived.arrival_us)
                project(event_of(arrived.envelope), heading, changes)
                self.taken += 1
        for arrived in await self._submitted.read():  # behind the endings, so that none is ahead of its submission
            if is_submission(arrived.envelope):
                changes.submissions[arrived.shard_id] = changes.submissions.get(arrived.shard_id, 0) + 1
        if any(tail.moved for tail in self._tails):
            with self._tables.batch(changes):
                for tail in self._tails:
                    tail.store()
        return any(tail.behind_records > 0 for tail in self._tails)

    def close(self) -> None:
        """Close the tables."""
        self._tables.close()


async def _main(clock: Clock, stop: Stop, options: argparse.Namespace) -> None:
    log = open_log(options.log, clock)
    projector = Projector(log, open_tables(options.tables or f"sqlite:{options.data}", region_of(options.log)))
    await Turns(clock, stop, options.seconds, IDLE_SECONDS).run(projector.turn)
    logger.info("stopped; %d outcomes taken in by this run", projector.taken)
    projector.close()
    log.close()


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    options = edge_arguments("Keep tables of what became of every payment.")
    options.add_argument("--tables", metavar=FORMS, help="where to keep them (default: SQLite in --data)")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the projector; return the exit code."""
    options = parser().parse_args(arguments)
    return run_process(lambda clock, stop: _main(clock, stop, options))


if __name__ == "__main__":
    sys.exit(main())
