"""The central bank, simulated: settles a cycle's nets once they are complete, and says so.

Every piece of the clearing's hash space tells the net positions of a cycle when it has all of that cycle.  When the
pieces of a cycle tile the space, the cycle is complete: its nets must sum to zero per currency - if they do not, money
was made or lost, and this process stops loudly and settles nothing from there on - and CycleSettled goes to control.

Pieces are known by (cycle, first hash), so what is told again changes nothing; told again with other content is a
contradiction, and stops the process too.  A cycle is marked as settled behind the append: a crash between the two
appends the same bytes again, which the clearing takes for what it knows.

Nothing here needs a sync per commit: what a loss of power takes back is read again from the log.
"""

from __future__ import annotations

import argparse
import logging
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from agents.edge.database import EdgeDatabase
from agents.edge.process import Stop, Turns, edge_arguments, run_process
from agents.edge.producer import EdgeProducer, Identity
from agents.edge.reader import Arrived, SqlitePlaces, StreamTail, event_of
from agents.streams import CONTROL, OUTCOMES
from pipeline.errors import InvariantViolation
from pipeline.kernel.hashrange import FULL_RANGE, HashRange, missing_from
from pipeline.stream_logs.naming import open_log
from schemas import codec
from schemas.events import CycleNetted, CycleSettled, NetPosition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.ports import Clock, Log

PRODUCER = b"rtgs"
IDLE_SECONDS = 0.05

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pieces (
    cycle INTEGER NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL, positions BLOB NOT NULL, told_us INTEGER NOT NULL,
    PRIMARY KEY (cycle, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (cycle INTEGER PRIMARY KEY);
"""
_CYCLE_NETTED = next(kind for kind, event_type in codec.KINDS.items() if event_type is CycleNetted)

_positions_decoder = msgspec.msgpack.Decoder(tuple[NetPosition, ...])

logger = logging.getLogger("payments.edge.rtgs")


class SettlementBank:
    """Settles cycles in order."""

    def __init__(self, log: Log, clock: Clock, folder: Path) -> None:
        self._database = EdgeDatabase(folder / "rtgs.sqlite", _SCHEMA, "NORMAL")
        self._tail = StreamTail(log, OUTCOMES, SqlitePlaces(self._database))
        epoch = int(self._database.fact("epoch", str(clock.now_us())))
        self._producer = EdgeProducer(log, clock, Identity(PRODUCER, epoch))
        (settled,) = self._database.connection.execute("SELECT COALESCE(MAX(cycle), -1) FROM settled").fetchone()
        self.settled: int = settled
        """The last cycle that was settled; -1 before the first."""

    async def turn(self) -> bool:
        """Take in what was netted, settle what is complete; say whether there is more at once."""
        arrived = await self._tail.read()
        if self._tail.moved:
            with self._database.transaction():
                self._note(arrived)
                self._tail.store()
        while await self._settle(self.settled + 1):
            self.settled += 1
        return self._tail.behind_records > 0

    def close(self) -> None:
        """Close the store."""
        self._database.close()

    def _note(self, arrived: Sequence[Arrived]) -> None:
        """Keep the pieces told, each once."""
        for record in arrived:
            if record.envelope is None or record.envelope.kind != _CYCLE_NETTED:
                continue
            netted = event_of(record.envelope)
            if not isinstance(netted, CycleNetted):
                continue
            positions = msgspec.msgpack.encode(netted.positions)
            row = (netted.cycle, netted.first, netted.last, positions)
            connection = self._database.connection
            connection.execute("INSERT OR IGNORE INTO pieces VALUES (?, ?, ?, ?, ?)", (*row, record.arrival_us))
            kept = connection.execute(
                "SELECT cycle, first, last, positions FROM pieces WHERE cycle = ? AND first = ?", row[:2]
            ).fetchone()
            if kept != row:
                raise InvariantViolation(f"cycle {netted.cycle} was netted twice, differently, at {netted.first.hex()}")

    async def _settle(self, cycle: int) -> bool:
        """Settle ``cycle`` if it is complete; say whether it was."""
        rows = self._database.connection.execute(
            "SELECT first, last, positions, told_us FROM pieces WHERE cycle = ? ORDER BY first", (cycle,)
        ).fetchall()
        pieces = [HashRange.from_bytes(first, last) for first, last, _, _ in rows]
        if missing_from(FULL_RANGE, pieces):
            return False
        if any(low.last >= high.first for low, high in pairwise(pieces)):
            raise InvariantViolation(f"the pieces that netted cycle {cycle} overlap; nothing is settled")
        positions = [position for row in rows for position in _positions_decoder.decode(row[2])]
        _require_balance(cycle, positions)
        told_us = max(row[3] for row in rows)
        await self._producer.put([self._producer.record(CONTROL, CONTROL, CycleSettled(cycle), told_us, cycle)])
        self._database.connection.execute("INSERT OR IGNORE INTO settled VALUES (?)", (cycle,))
        owed = sum(-position.net_minor for position in positions if position.net_minor < 0)
        logger.info("cycle %d settled: %d positions, %d minor units paid", cycle, len(positions), owed)
        return True


def _require_balance(cycle: int, positions: Sequence[NetPosition]) -> None:
    """Raise ``InvariantViolation`` unless the nets of a cycle sum to zero per currency."""
    sums: dict[str, int] = {}
    for position in positions:
        sums[position.currency] = sums.get(position.currency, 0) + position.net_minor
    wrong = {currency: total for currency, total in sorted(sums.items()) if total}
    if wrong:
        raise InvariantViolation(f"the nets of cycle {cycle} do not sum to zero: {wrong}; nothing is settled")


async def _main(clock: Clock, stop: Stop, options: argparse.Namespace) -> None:
    log = open_log(options.log, clock)
    bank = SettlementBank(log, clock, options.data)
    await Turns(clock, stop, options.seconds, IDLE_SECONDS).run(bank.turn)
    logger.info("stopped; cycles settled up to %d", bank.settled)
    bank.close()
    log.close()


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    return edge_arguments("Settle the cycles that the clearing has netted.")


def main(arguments: list[str] | None = None) -> int:
    """Run the simulated central bank; return the exit code."""
    options = parser().parse_args(arguments)
    return run_process(lambda clock, stop: _main(clock, stop, options))


if __name__ == "__main__":
    sys.exit(main())
