"""What must be true of a world at rest, whatever happened in it: read from its streams, and from the states it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.kernel import system_events
from pipeline.kernel.agent import Output
from pipeline.kernel.tables import BroadcastTable, MessagePackValues, Scope
from pipeline.publisher import Publisher
from pipeline.restore import Restorer, take_snapshot
from pipeline.shard import Shard
from pipeline.state.digest import FileDigests, state_digest
from pipeline.state.memory import MemoryStores
from pipeline.state.snapshots import MemorySnapshots
from tests.coroutines import finished
from tests.readings import read_stream
from tests.simulation.toy_payments import LEDGER, PARKED, RESULTS, CreditTaken, Netted, Settled
from tests.simulation.world import World, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def problems_of(world: World) -> list[str]:
    """Return what is wrong; nothing should be."""
    results = [
        world.stage.codec.decode(taken.envelope.kind, taken.envelope.version, taken.envelope.body)
        for taken in finished(read_stream(world.log, RESULTS))
        if taken.envelope.first == taken.envelope.last
    ]
    settled = [result for result in results if isinstance(result, Settled)]
    netted = [result for result in results if isinstance(result, Netted)]
    credited = [result.number for result in results if isinstance(result, CreditTaken)]
    return [
        *_each_once("settled", world.payments, [result.number for result in settled]),
        *_each_once("credited", world.payments, credited),
        *_in_order(settled),
        *_nets(world, settled, netted),
        *_counts(world),
        *_parked(world),
        *finished(_replay(world)),
    ]


def _each_once(verb: str, wanted: Iterable[int], found: Sequence[int]) -> Iterator[str]:
    times = Counter(found)
    for number in wanted:
        if times.pop(number, 0) != 1:
            yield f"payment {number} was {verb} {found.count(number)} times"
    for number in times:
        yield f"payment {number} was {verb} and never sent"


def _in_order(settled: Sequence[Settled]) -> Iterator[str]:
    places: dict[str, int] = {}
    for result in settled:
        places[result.account] = places.get(result.account, 0) + 1
        if result.place != places[result.account]:
            yield f"{result.account}: settlement {result.place} came as the {places[result.account]}th"


def _nets(world: World, settled: Sequence[Settled], netted: Sequence[Netted]) -> Iterator[str]:
    nets: dict[tuple[str, int], int] = {}
    for result in netted:
        if (result.account, result.cycle) in nets:
            yield f"cycle {result.cycle} was netted twice for {result.account}"
        nets[result.account, result.cycle] = result.net
    for cycle in range(world.cycles):
        if sum(net for (_, of), net in nets.items() if of == cycle):
            yield f"cycle {cycle} does not net to zero"
        debited = {result.account for result in settled if result.cycle == cycle}
        for account in sorted(debited):
            if (account, cycle) not in nets:
                yield f"cycle {cycle} was never netted for {account}"


def _parked(world: World) -> Iterator[str]:
    taken = [taken.envelope for taken in finished(read_stream(world.log, PARKED))]
    parked = [system_events.decode(envelope.kind, envelope.version, envelope.body) for envelope in taken]
    records = sorted(event.record for event in parked if isinstance(event, system_events.Parked))
    if records != sorted(world.garbage):
        yield f"parked were {parked}"


class NoPublisher(Publisher):
    """Publishes nothing: what a reading puts out is in its chain of digests."""

    async def publish(self, outputs: Sequence[Output]) -> None:
        return


async def _replay(world: World) -> list[str]:
    """Read every shard once more, from nothing and in one batch, and compare what it comes to."""
    stores, snapshots = MemoryStores(), MemorySnapshots()
    restorer = Restorer(world.stage, world.log, stores, snapshots, world.scratch)
    live = {leaf.committed.source: leaf for leaf in world.leaves()}
    problems = []
    for description in await world.log.shards(LEDGER):
        shard = Shard(world.stage, await restorer.restore(description), NoPublisher(world.log, world.clock))
        await shard.process(await world.log.records(LEDGER, description.shard_id))
        if description.closed:
            await shard.finish()
            folder = world.scratch / f"replay-{description.shard_id}"
            await take_snapshot(shard, stores, snapshots, folder, FileDigests(), in_turn)
            continue
        leaf = live[shard.committed.source]
        if (leaf.committed, state_digest(leaf.store)) != (shard.committed, state_digest(shard.store)):
            problems.append(f"{shard.committed.source} was {leaf.committed}, and read again is {shard.committed}")
    return problems


def _counts(world: World) -> Iterator[str]:
    paid = Counter(world.payments.values())
    wanted = {account: count // 2 * 2 for account, count in paid.items() if count > 1}
    for shard in world.leaves():
        table = BroadcastTable(4, MessagePackValues(int), Scope(0), shard.store)
        told = {key.decode(): count for key, count in table.items()}
        if told != wanted:
            yield f"{shard.committed.source} was told {told}, and the counts are {wanted}"
