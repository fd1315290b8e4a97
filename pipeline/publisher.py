"""Puts a batch's outputs where they belong, in lineage order, and returns when all of them are stored.

Per destination shard one record is in flight, holding the outputs for that shard, so outputs of a source arrive in
lineage order.  A lost acknowledgement is put again; the repeat is dropped downstream.  When a shard was split or
merged behind our back, a record lands on a shard that owns only part of its hashes: the rest is put again with its
old lineage, before anything later.  A broadcast is done when the ranges it landed on tile the range it is for.

    todo = [(number, first, last, record), ...]        in lineage order
    while todo:
        one entry per destination shard, of what is for it, in order, as much as a record takes
        put them; where did each land?
        todo = what no landing covered, in order
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pipeline.errors import LogError
from pipeline.kernel.agent import OUTPUT_BYTES_MAX
from pipeline.kernel.envelope import readdress
from pipeline.kernel.hashrange import HashRange
from pipeline.ports import Entry, Landed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pipeline.kernel.agent import Output
    from pipeline.ports import Clock, Log, ShardDescription

RECORD_BYTES_MAX = OUTPUT_BYTES_MAX
"""Of user records in one record, below Kinesis's 1 MiB with its framing."""
USER_RECORDS_MAX = 4_000
"""In one record: their framing on Kinesis has 12 bytes each at most, for which there are 48,576."""
RETRY_SECONDS_MIN = 0.01
RETRY_SECONDS_MAX = 5.0


class _Addressed(NamedTuple):
    """An output, or what is left of a broadcast, in the order of (lineage, first hash)."""

    number: int
    """Of the output in its batch."""
    first: bytes
    last: bytes
    record: bytes


class _ShardMap:
    """The open shards of a stream by the first hash of their ranges, and the ranges of all."""

    def __init__(self, shards: Sequence[ShardDescription]) -> None:
        opened = sorted((shard.hash_range, shard.shard_id) for shard in shards if not shard.closed)
        self.ids = [shard_id for _, shard_id in opened]
        self.firsts = [hash_range.first_bytes for hash_range, _ in opened]
        self.lasts = [hash_range.last_bytes for hash_range, _ in opened]
        self.ranges = {shard.shard_id: shard.hash_range for shard in shards}


class Together(Protocol):
    """Runs work side by side."""

    def __call__(self, *work: Awaitable[None]) -> Awaitable[object]:
        """Return when all of ``work`` is done, or raise what one of it raised."""


class Publisher:
    """Publishes for one source shard; batches of one source must not overlap."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        tell_refused: Callable[[str, str], None] | None = None,
        together: Together | None = None,
    ) -> None:
        """Publish to ``log``; ``tell_refused`` hears of each entry put in vain: its stream, and the log's reason.

        ``together`` (as ``asyncio.gather``) publishes to the streams at once; without it, to one after another.
        """
        self._log = log
        self._clock = clock
        self._tell_refused = tell_refused
        self._together = together
        self._maps: dict[str, _ShardMap] = {}

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Return once every output is stored, durably, in each shard it is for."""
        by_stream: dict[str, list[_Addressed]] = {}
        for number, (stream, first, last, record) in enumerate(outputs):
            by_stream.setdefault(stream, []).append(_Addressed(number, first, last, record))
        if self._together is None or len(by_stream) == 1:
            for stream, todo in by_stream.items():
                await self._publish_to(stream, todo)
        else:
            await self._together(*(self._publish_to(stream, todo) for stream, todo in by_stream.items()))

    async def _publish_to(self, stream: str, todo: list[_Addressed]) -> None:
        wait_seconds = RETRY_SECONDS_MIN
        while todo:
            shards = self._maps.get(stream) or await self._refresh(stream)
            portions, rest = _cut(todo, shards)
            numbers = sorted(portions)
            entries = [Entry(portions[n][0].first, [part.record for part in portions[n]]) for n in numbers]
            results = await self._log.put_records(stream, entries)
            refused = False
            for number, result in zip(numbers, results, strict=True):
                if not isinstance(result, Landed):
                    refused = True
                    rest += portions[number]
                    if self._tell_refused is not None:
                        self._tell_refused(stream, result.reason)
                elif result.shard_id != shards.ids[number]:
                    rest += await self._left_over(stream, portions[number], result.shard_id)
            todo = sorted(rest)
            if refused:
                await self._clock.sleep(wait_seconds)
                wait_seconds = min(2 * wait_seconds, RETRY_SECONDS_MAX)

    async def _left_over(self, stream: str, sent: list[_Addressed], landed_on: str) -> list[_Addressed]:
        """Return what of a record is not for the shard it landed on, and look at the shards anew."""
        shards = await self._refresh(stream)
        owned = shards.ranges.get(landed_on)
        if owned is None:
            raise LogError(f"{stream}: a record landed on {landed_on}, which the log does not list")
        left = []
        for number, first, last, record in sent:
            for part in HashRange.from_bytes(first, last).without(owned):
                address = (part.first_bytes, part.last_bytes)
                left.append(_Addressed(number, *address, readdress(record, *address)))
        return left

    async def _refresh(self, stream: str) -> _ShardMap:
        self._maps[stream] = _ShardMap(await self._log.shards(stream))
        return self._maps[stream]


class NoPublisher:
    """Publishes nothing: the outputs of a replay are in its chain, and nowhere else."""

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Do nothing."""


def _cut(todo: list[_Addressed], shards: _ShardMap) -> tuple[dict[int, list[_Addressed]], list[_Addressed]]:
    """Return, per number of an open shard, what goes into its next record, and what must wait for a later one."""
    portions: dict[int, list[_Addressed]] = {}
    sizes: dict[int, int] = {}
    rest: list[_Addressed] = []
    for part in todo:
        number = bisect_right(shards.firsts, part.first) - 1
        if part.first == part.last:
            _place(part, number, portions, sizes, rest)
            continue
        while number < len(shards.ids) and shards.firsts[number] <= part.last:
            first, last = max(part.first, shards.firsts[number]), min(part.last, shards.lasts[number])
            copy = _Addressed(part.number, first, last, readdress(part.record, first, last))
            _place(copy, number, portions, sizes, rest)
            number += 1
    return portions, rest


def _place(
    part: _Addressed,
    number: int,
    portions: dict[int, list[_Addressed]],
    sizes: dict[int, int],
    rest: list[_Addressed],
) -> None:
    """Add ``part`` to its shard's record; once one had to wait, everything behind it for that shard waits too."""
    size = sizes.get(number, 0) + len(part.record)
    if number in portions and (size > RECORD_BYTES_MAX or len(portions[number]) == USER_RECORDS_MAX):
        sizes[number] = RECORD_BYTES_MAX
        rest.append(part)
    else:
        sizes[number] = size
        portions.setdefault(number, []).append(part)
