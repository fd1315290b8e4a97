"""The whole product in one process, on a log in memory and a clock that stands still until it is told to move.

    world = PaymentWorld(folder, seed=1, submissions=3_000)
    world.run()
    assert world.counts().settled > 2_500

Stages and edges are the real ones.  A turn of the world moves the clock by a few milliseconds and lets everybody act
once; a killed edge is one that is dropped and made anew over the same folder.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from agents import streams
from agents.edge.generator import Generator, GeneratorSettings
from agents.edge.participant_links import ParticipantLinks
from agents.edge.participants import SimulatedParticipants
from agents.edge.projector import Projector
from agents.edge.projector_queries import Counts, ProjectorQueries, open_queries
from agents.edge.projector_store import SqliteTables
from agents.edge.rtgs import SettlementBank
from agents.edge.workload.control import listings
from agents.topology import AUTHORISE, CONTROL, SETTLE
from pipeline.kernel import system_events
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.position import Source
from pipeline.ports import Entry
from pipeline.publisher import Publisher
from pipeline.restore import genesis_rows
from pipeline.shard import Shard
from pipeline.state.memory import MemoryStore
from pipeline.stream_logs.memory import MemoryLog
from tests.memory_wire import MemoryWire, let_posts_arrive
from tests.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from pipeline.ports import ShardDescription

TURN_US = 20_000
LINKS, BANKS = "links", "banks"
TICK_US = 240_000
SHARDS = 2


class PaymentWorld:
    """Everything between a client's order and its settlement."""

    def __init__(self, folder: Path, *, seed: int, submissions: int, payments_per_second: float = 500) -> None:
        self.clock = VirtualClock()
        self.folder = folder
        self.log = MemoryLog(self.clock, "world")
        self._seed = seed
        self.wire = MemoryWire()
        self.runner = asyncio.Runner()
        self._ticked_us = 0
        self._ticks = 0
        self._settings = GeneratorSettings(seed, submissions, payments_per_second, cycle_seconds=2.0)
        self._shards = self.runner.run(self._open_shards())
        self.start_generator()
        self.start_participants()
        self.start_links()
        self.start_bank()
        self.start_projector()

    def start_generator(self) -> None:
        self.generator = Generator(self.log, self.clock, self.folder, self._settings)
        self.runner.run(self.generator.start(hearing_seconds=0))
        self.runner.run(self._run_stages())

    def start_links(self) -> None:
        addresses = {each.bic: BANKS for each in listings()}
        self.links = ParticipantLinks(self.log, self.clock, self.folder, self.wire, addresses)
        self.runner.run(self.links.start())
        self.wire.takers[LINKS] = self.links.take

    def start_participants(self) -> None:
        self.participants = SimulatedParticipants(self.folder, self.clock, self.wire, LINKS, self._seed)
        self.wire.takers[BANKS] = self.participants.take

    def start_bank(self) -> None:
        self.bank = SettlementBank(self.log, self.clock, self.folder)

    def start_projector(self) -> None:
        self.projector = Projector(self.log, SqliteTables(self.folder))

    def kill_one(self, number: int) -> None:
        """Kill one of the five edges, and start it again."""
        match number:
            case 0:
                self.generator.close()
                self.start_generator()
            case 1:
                self.runner.run(self.links.close())
                self.start_links()
            case 2:
                self.runner.run(self.participants.close())
                self.start_participants()
            case 3:
                self.bank.close()
                self.start_bank()
            case _:
                self.projector.close()
                self.start_projector()

    def run(self, *, drain_seconds: float = 25.0) -> None:
        """Submit everything, then go on until no deadline is left."""
        self.runner.run(self._run(drain_seconds))

    def turn(self) -> None:
        self.runner.run(self._turn())

    def counts(self) -> Counts:
        return self.queries().counts()

    def queries(self) -> ProjectorQueries:
        return open_queries(self.folder)

    async def _run(self, drain_seconds: float) -> None:
        while not self.generator.done:
            await self._turn()
        end_us = self.clock.now_us() + round(drain_seconds * 1_000_000)
        while self.clock.now_us() < end_us:
            await self._turn()

    async def _turn(self) -> None:
        now_us = self.clock.move(TURN_US)
        if now_us - self._ticked_us >= TICK_US:
            await self._tick(now_us)
        await self.generator.turn()
        await self._run_stages()
        await self.links.turn()
        await let_posts_arrive()
        await self.participants.turn()
        await let_posts_arrive()
        await self._run_stages()
        await self.bank.turn()
        await self.projector.turn()

    async def _tick(self, now_us: int) -> None:
        self._ticked_us = now_us
        for (stream, _), (description, _) in self._shards.items():
            kind, version, body = system_events.encode(system_events.Tick())
            self._ticks += 1
            first = description.hash_range.first_bytes
            lineage = edge_lineage(1, self._ticks)
            envelope = Envelope(FROM_EDGE, kind, version, now_us, first, first, lineage, b"ticker", body)
            await self.log.put_records(stream, [Entry(first, [encode(envelope)])])

    async def _run_stages(self) -> None:
        """Let every shard take in what there is, until there is nothing."""
        busy = True
        while busy:
            busy = False
            for (stream, shard_id), (_, shard) in self._shards.items():
                given = await self.log.read(stream, shard_id, shard.position.sequence, 1_000)
                if given.records:
                    await shard.process(given.records)
                    busy = True

    async def _open_shards(self) -> dict[tuple[str, str], tuple[ShardDescription, Shard]]:
        shards = {}
        for stream in streams.ALL_STREAMS:
            await self.log.create_stream(stream, 1 if stream == streams.CONTROL else SHARDS)
        for stage in (CONTROL, AUTHORISE, SETTLE):
            for description in await self.log.shards(stage.source_stream):
                store = MemoryStore()
                source = Source(self.log.incarnation, stage.source_stream, description.shard_id)
                store.write(genesis_rows(stage, source, description.hash_range))
                shard = Shard(stage, store, Publisher(self.log, self.clock))
                shards[stage.source_stream, description.shard_id] = (description, shard)
        return shards
