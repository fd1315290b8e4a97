"""The process that submits the workload to the log: open loop, durable, and able to go on where it was killed.

    due = what the rate says should have been submitted by now
    note    (first index, count, accepted_us)        committed before the append
    append  control events of those indices, then the payments
    note    that it was acknowledged

A crash before the append, or before its acknowledgement was noted, leaves a batch that is noted and not acknowledged:
the next run appends it again, the same bytes, since everything in them is a function of the seed, the index and the
noted time.  Payments that were there already are recognised as repeats downstream.

The pace is open: it does not wait for anybody's answer.  After a pause - a slow disk, a kill - it goes on at the same
rate from where it was; it does not make up for lost time, since orders have deadlines.

The store needs no sync per commit: after a loss of power it may be a moment behind the log, and what is submitted
again is then a client's retry, with another time of acceptance.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.edge.database import EdgeDatabase
from agents.edge.hearing import Listener
from agents.edge.process import Stop, Turns, edge_arguments, positive, run_process
from agents.edge.producer import EdgeProducer, Identity
from agents.edge.workload import control
from agents.edge.workload.population import ACCOUNTS_DEFAULT
from agents.edge.workload.records import record_of
from agents.edge.workload.sequence import LOOK_BACK_MAX, Workload
from agents.streams import CLEARING, CONTROL, PAYMENTS
from pipeline.stream_logs.naming import open_log
from schemas.events import CutOffScheduled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.kernel.agent import Output
    from pipeline.ports import Clock, Log

FILE = "generator.sqlite"
PRODUCER = b"generator"
CALENDAR = b"generator/calendar"
OUTAGES = b"generator/outages"
BATCH_MAX = 1_000
IDLE_SECONDS = 0.01
REPORT_US = 1_000_000
HEARING_SECONDS_MAX = 120.0
CALENDAR_AHEAD_US = 600_000_000
"""Cycles are scheduled for so long behind the last submission: a shard that lags so far still finds its next one."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, accepted_us INTEGER NOT NULL, acknowledged INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS cut_offs (cycle INTEGER PRIMARY KEY, at_us INTEGER NOT NULL);
"""

logger = logging.getLogger("payments.edge.generator")


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """What to submit, and how fast."""

    seed: int
    count: int
    """Submissions in all, of this and all earlier runs on the same folder."""
    payments_per_second: float
    cycle_seconds: float = 5.0
    accounts: int = ACCOUNTS_DEFAULT


class Generator:
    """Submits one workload."""

    def __init__(self, log: Log, clock: Clock, folder: Path, settings: GeneratorSettings) -> None:
        self._log = log
        self._clock = clock
        self._settings = settings
        self._database = EdgeDatabase(folder / FILE, _SCHEMA, "NORMAL")
        self._database.require_fact("seed", str(settings.seed))
        self._database.require_fact("accounts", str(settings.accounts))
        self._workload = Workload(settings.seed, settings.accounts)
        epoch = int(self._database.fact("epoch", str(clock.now_us())))
        self._epoch_us = epoch
        self._producer = EdgeProducer(log, clock, Identity(PRODUCER, epoch))
        self._calendar = EdgeProducer(log, clock, Identity(CALENDAR, epoch))
        self._outages = EdgeProducer(log, clock, Identity(OUTAGES, epoch))
        self._paced_from = (0, 0)
        self.next_index = 0
        """Everything before it was acknowledged."""

    @property
    def done(self) -> bool:
        """Say whether everything was submitted."""
        return self.next_index >= self._settings.count

    async def start(self, *, hearing_seconds: float = HEARING_SECONDS_MAX) -> None:
        """Put what must be known first, wait until every shard has it, and finish the batch left by a crash."""
        self._database.require_fact("log", await self._log.incarnation_of(PAYMENTS))
        await self._put_control(hearing_seconds)
        row = self._database.connection.execute(
            "SELECT first, count, accepted_us, acknowledged FROM batches ORDER BY first DESC LIMIT 1"
        ).fetchone()
        if row is not None:
            first, count, accepted_us, acknowledged = row
            if not acknowledged:
                logger.info("submitting %d payments from index %d again", count, first)
                await self._append(first, count, accepted_us)
            self.next_index = first + count
        self._paced_from = (self.next_index, self._clock.now_us())

    async def turn(self) -> bool:
        """Submit what is due; say whether more is at once."""
        now_us = self._clock.now_us()
        first_paced, paced_from_us = self._paced_from
        elapsed_seconds = (now_us - paced_from_us) / 1_000_000
        due = min(first_paced + int(elapsed_seconds * self._settings.payments_per_second), self._settings.count)
        count = min(due - self.next_index, BATCH_MAX)
        if count <= 0:
            return False
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO batches VALUES (?, ?, ?, 0)", (self.next_index, count, now_us))
        await self._append(self.next_index, count, now_us)
        self.next_index += count
        return count == BATCH_MAX

    def close(self) -> None:
        """Close the store."""
        self._database.close()

    async def _append(self, first: int, count: int, accepted_us: int) -> None:
        """Put the control events and the payments of a noted batch, and note that they are there."""
        outputs: list[Output] = [
            self._outages.record(CONTROL, CONTROL, change, accepted_us, index)
            for index, change in control.availability_changes(first, count)
        ]
        for index in range(first, first + count):
            submission = self._workload.at(index)
            accepted_index = submission.accepted_index
            taken_us = accepted_us if accepted_index >= first else self._accepted_us(accepted_index)
            outputs.append(record_of(submission, taken_us, accepted_us, self._producer.identity))
        await self._producer.put(outputs)
        with self._database.transaction() as connection:
            connection.execute("UPDATE batches SET acknowledged = 1 WHERE first = ?", (first,))
            connection.execute("DELETE FROM batches WHERE first + count < ?", (first - LOOK_BACK_MAX,))

    def _accepted_us(self, index: int) -> int:
        """Return when the submission at ``index`` was accepted."""
        (accepted_us,) = self._database.connection.execute(
            "SELECT accepted_us FROM batches WHERE first <= ? ORDER BY first DESC LIMIT 1", (index,)
        ).fetchone()
        return int(accepted_us)

    async def _put_control(self, hearing_seconds: float) -> None:
        """Put the directory and the calendar, and wait until every shard that needs them has them."""
        listings = control.listings()
        cut_offs = self._schedule_cut_offs()
        outputs = [
            self._calendar.record(CONTROL, CONTROL, event, self._epoch_us, number)
            for number, event in enumerate((*listings, *cut_offs))
        ]
        hub, clearing = (Listener(self._log, self._clock, stream) for stream in (PAYMENTS, CLEARING))
        await hub.begin()
        await clearing.begin()
        await self._calendar.put(outputs)
        if hearing_seconds > 0:
            await hub.wait_for(listings[-1], hearing_seconds)
            await clearing.wait_for(cut_offs[-1], hearing_seconds)

    def _schedule_cut_offs(self) -> list[CutOffScheduled]:
        """Return all cut-offs so far, with what this run needs: cycles go on where the last run left them."""
        settings = self._settings
        cycle_us = round(settings.cycle_seconds * 1_000_000)
        rows = self._database.connection.execute("SELECT cycle, at_us FROM cut_offs ORDER BY cycle").fetchall()
        scheduled = [CutOffScheduled(cycle, at_us) for cycle, at_us in rows]
        now_us = self._clock.now_us()
        after_us = max(now_us, scheduled[-1].at_us) if scheduled else now_us
        run_us = round((settings.count - self._noted_index()) / settings.payments_per_second * 1_000_000)
        added = control.cut_offs(len(scheduled), after_us, now_us + run_us + CALENDAR_AHEAD_US, cycle_us)
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO cut_offs VALUES (?, ?)", [(c.cycle, c.at_us) for c in added])
        return [*scheduled, *added]

    def _noted_index(self) -> int:
        """Return the index behind the last batch that was noted."""
        (index,) = self._database.connection.execute("SELECT COALESCE(MAX(first + count), 0) FROM batches").fetchone()
        return int(index)


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    options = edge_arguments("Submit a seeded workload of payments to a log, at a steady rate.")
    options.add_argument("--seed", type=int, default=1, help="what is submitted is a function of it (default: 1)")
    options.add_argument("--tps", type=positive, default=500.0, help="submissions a second (default: 500)")
    options.add_argument(
        "--count", type=int, help="submissions in all, with those of earlier runs (default: --seconds times --tps)"
    )
    options.add_argument("--accounts", type=int, default=ACCOUNTS_DEFAULT, help="accounts in the simulated world")
    options.add_argument(
        "--cycle-seconds", type=positive, default=5.0, help="length of a settlement cycle (default: 5)"
    )
    options.add_argument(
        "--hearing-seconds",
        type=float,
        default=HEARING_SECONDS_MAX,
        help="how long to wait until all shards know the participants; 0: do not wait",
    )
    return options


def _reporter(generator: Generator, clock: Clock, count: int) -> Callable[[], None]:
    """Return a function that logs how far the generator is, once a second at most."""
    last = [clock.now_us(), generator.next_index]

    def report() -> None:
        now_us = clock.now_us()
        if now_us - last[0] >= REPORT_US:
            rate = (generator.next_index - last[1]) * 1_000_000 / (now_us - last[0])
            logger.info("submitted %d of %d, %.0f a second", generator.next_index, count, rate)
            last[:] = [now_us, generator.next_index]

    return report


async def _main(clock: Clock, stop: Stop, options: argparse.Namespace) -> None:
    settings = GeneratorSettings(options.seed, options.count, options.tps, options.cycle_seconds, options.accounts)
    log = open_log(options.log, clock)
    generator = Generator(log, clock, options.data, settings)
    turns = Turns(clock, stop, options.seconds, IDLE_SECONDS)
    await turns.until_stopped(generator.start(hearing_seconds=options.hearing_seconds))
    report = _reporter(generator, clock, settings.count)

    async def turn() -> bool:
        if generator.done:
            stop.request()
        report()
        return await generator.turn()

    await turns.run(turn)
    logger.info("stopped at %d of %d submissions", generator.next_index, settings.count)
    generator.close()
    log.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the generator; return the exit code."""
    options = parser().parse_args(arguments)
    if options.count is None:
        if options.seconds is None:
            parser().error("say how much to submit: --count, or --seconds")
        options.count, options.seconds = round(options.seconds * options.tps), None
    return run_process(lambda clock, stop: _main(clock, stop, options))


if __name__ == "__main__":
    sys.exit(main())
