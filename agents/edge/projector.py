"""The projector: what became of every payment, in tables that anybody can query.

It tails the outcomes and the parked records, and counts what was submitted on the payments stream, so that the books
close: submitted = settled + rejected + held + repeated + conflicts + parked + limbo + in flight.

A submission is a record that an edge put on the payments stream, or one that is no envelope at all.  What a producer
put twice counts twice, and ends twice: once as what it is, once as a repeat.

Commits are not synced: what a loss of power takes back, positions and effects alike, is read again from the log.  A
batch is what came within a tenth of a second.
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from agents.edge.database import EdgeDatabase
from agents.edge.process import Stop, Turns, edge_arguments, run_process
from agents.edge.projections import is_submission, project
from agents.edge.projector_store import FILE, SCHEMA, Changes, Heading, write
from agents.edge.reader import StreamTail, event_of
from agents.streams import OUTCOMES, PARKED, PAYMENTS
from pipeline.errors import Poison
from pipeline.stream_logs.naming import open_log

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ports import Clock, Log

IDLE_SECONDS = 0.1

logger = logging.getLogger("payments.edge.projector")


class Projector:
    """Keeps the tables of ``projector_store`` up to date."""

    def __init__(self, log: Log, folder: Path) -> None:
        self._database = EdgeDatabase(folder / FILE, SCHEMA, "NORMAL")
        self._ended = [StreamTail(log, stream, self._database) for stream in (OUTCOMES, PARKED)]
        self._submitted = StreamTail(log, PAYMENTS, self._database)
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
            with self._database.transaction() as connection:
                write(connection, changes)
                for tail in self._tails:
                    tail.store(connection)
        return any(tail.behind_records > 0 for tail in self._tails)

    def close(self) -> None:
        """Close the store."""
        self._database.close()


async def _main(clock: Clock, stop: Stop, options: argparse.Namespace) -> None:
    log = open_log(options.log, clock)
    projector = Projector(log, options.data)
    await Turns(clock, stop, options.seconds, IDLE_SECONDS).run(projector.turn)
    logger.info("stopped; %d outcomes taken in by this run", projector.taken)
    projector.close()
    log.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the projector; return the exit code."""
    parser = edge_arguments("Keep tables of what became of every payment.")
    options = parser.parse_args(arguments)
    return run_process(lambda clock, stop: _main(clock, stop, options))


if __name__ == "__main__":
    sys.exit(main())
