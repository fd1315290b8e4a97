"""What a log on Kinesis has recorded, for the auditor of ``chaos``, which shares no code with what it audits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from agents.streams import ALL_STREAMS, OUTCOMES
from chaos.auditor.order import problems_of_order
from chaos.auditor.payments import event_of, payments_of
from chaos.auditor.reading import Reading
from chaos.workload import Ending
from pipeline.ports import Log, Record, ShardDescription
from schemas.events import CycleNetted

READ_AT_ONCE = 2_000


class Recorded:
    """A ``Recording`` of the product's streams, as they are now."""

    def __init__(self) -> None:
        self._shards: dict[str, Sequence[ShardDescription]] = {}
        self._records: dict[tuple[str, str], list[Record]] = {}

    @classmethod
    async def of(cls, log: Log) -> Recorded:
        """Read everything."""
        recorded = cls()
        for stream in ALL_STREAMS:
            recorded._shards[stream] = await log.shards(stream)
            for shard in recorded._shards[stream]:
                records: list[Record] = []
                while part := (await log.read(stream, shard.shard_id, _last(records), READ_AT_ONCE)).records:
                    records += part
                recorded._records[stream, shard.shard_id] = records
        return recorded

    def shards_of(self, stream: str) -> Sequence[ShardDescription]:
        return self._shards[stream]

    def records_of(self, stream: str, shard_id: str) -> Sequence[Record]:
        return self._records[stream, shard_id]


class Books:
    """What the auditor finds in a recording."""

    def __init__(self, recorded: Recorded) -> None:
        self._readings = {stream: Reading(recorded, stream) for stream in ALL_STREAMS}
        self._payments = payments_of(self._readings, {})

    def settled(self) -> list[str]:
        """Return the payments that settled, once for each time."""
        endings = self._payments.endings
        return [payment_id for payment_id, ended in endings.items() for each in ended if each is Ending.SETTLED]

    def nets(self) -> dict[str, int]:
        """Return by currency what all cycles netted come to."""
        nets: Counter[str] = Counter()
        for event in self._netted():
            nets.update({position.currency: 0 for position in event.positions})
            for position in event.positions:
                nets[position.currency] += position.net_minor
        return dict(nets)

    def problems(self) -> list[str]:
        """Return what is wrong: an ending too many or too few, and outputs out of their order."""
        found = [str(problem) for problem in (*self._payments.problems, *problems_of_order(self._readings))]
        for payment_id, ended in self._payments.endings.items():
            final = [each for each in ended if each in {Ending.SETTLED, Ending.REJECTED, Ending.EXPIRED, Ending.HELD}]
            if len(final) > 1:
                found.append(f"{payment_id} ended {len(final)} times: {final}")
        return found

    def _netted(self) -> Iterator[CycleNetted]:
        for taken in self._readings[OUTCOMES].taken:
            event = event_of(taken)
            if isinstance(event, CycleNetted):
                yield event


def _last(records: Sequence[Record]) -> int:
    return records[-1].sequence if records else 0
