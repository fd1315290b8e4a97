"""The streams of one account and region: what they are, which shards they have, and how these are split and merged.

Kinesis answers a request to create, split or merge before it is done.  Here each returns when the stream is ACTIVE
again and lists what was asked for, or raises ``LogError`` when that takes too long.  An answer that was lost is no
riddle: the list of shards says whether it was done.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import LogError
from pipeline.kernel.hashrange import HashRange
from pipeline.ports import ShardDescription
from pipeline.stream_logs.kinesis_client import NotNowError, NotThereError, NotValidError
from pipeline.stream_logs.kinesis_numbers import anchor
from pipeline.stream_logs.shard_map import ShardMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.ports import Clock
    from pipeline.stream_logs.kinesis_client import KinesisCalls

CHANGE_SECONDS_MAX = 300.0
"""From a request to create, split or merge until it is done."""
LISTED_SECONDS_MAX = 10.0
"""From the first record on a new shard until the list of shards has it."""
CLOCKS_APART_US = 600 * 1_000_000
"""How far our clock may be from Kinesis's where we ask what can have been trimmed."""

_LOOK_SECONDS_FIRST = 0.02
_LOOK_SECONDS_LONGEST = 1.0
_US_PER_SECOND = 1_000_000
_US_PER_HOUR = 3_600 * _US_PER_SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Summary(NamedTuple):
    """What DescribeStreamSummary says."""

    incarnation: str
    active: bool
    created_us: int
    retention_us: int


def microseconds(moment: datetime) -> int:
    """Return a time of Kinesis's as microseconds since the epoch, UTC, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class KinesisStreams:
    """The streams that ``calls`` reaches; ``name`` is the log's, for messages."""

    def __init__(self, calls: KinesisCalls, clock: Clock, name: str) -> None:
        self._calls = calls
        self._clock = clock
        self._name = name
        self._anchors: dict[tuple[str, str], int] = {}

    async def summary(self, stream: str) -> Summary:
        """Return what a stream is; ``LogError`` if it is not there."""
        try:
            answer = await self._calls.insist("describe_stream_summary", StreamName=stream)
        except (NotThereError, NotValidError) as error:
            raise self.missing(stream) from error
        found = answer["StreamDescriptionSummary"]
        _, _, _, region, account, _ = found["StreamARN"].split(":", 5)
        created_us = microseconds(found["StreamCreationTimestamp"])
        return Summary(
            incarnation=f"{account}:{region}:{created_us}",
            active=found["StreamStatus"] == "ACTIVE",
            created_us=created_us,
            retention_us=found["RetentionPeriodHours"] * _US_PER_HOUR,
        )

    async def shard_map(self, stream: str) -> ShardMap:
        """Return all shards that are kept, as they are now."""
        found = await self._pages(stream)
        found.sort(key=lambda shard: str(shard["ShardId"]))  # numbered as they came into being: parents stand first
        for shard in found:
            start = int(shard["SequenceNumberRange"]["StartingSequenceNumber"])
            self._anchors.setdefault((stream, shard["ShardId"]), anchor(start))
        return ShardMap(stream, [_description(shard) for shard in found])

    async def anchor_of(self, stream: str, shard_id: str) -> int:
        """Return what the numbers of a shard's records have in common; ``LogError`` if there is no such shard."""
        if (stream, shard_id) not in self._anchors:
            (await self.shard_map(stream)).get(shard_id)
        return self._anchors[stream, shard_id]

    def correct_anchor(self, stream: str, shard_id: str, found: int) -> bool:
        """Believe a record rather than the list (kinesis-local's is wrong about a merged shard); say if it differs."""
        differs = self._anchors.get((stream, shard_id)) != found
        self._anchors[stream, shard_id] = found
        return differs

    async def until_listed(self, stream: str, shard_id: str) -> None:
        """Return when the list has a shard on which a record has landed, which may be a moment later."""
        until_us = self._until_us(LISTED_SECONDS_MAX)
        while (stream, shard_id) not in self._anchors:
            shard_map = await self.shard_map(stream)
            if (stream, shard_id) in self._anchors:
                return
            if self._clock.now_us() >= until_us:
                shard_map.get(shard_id)  # raises that it is not there
            await self._clock.sleep(_LOOK_SECONDS_LONGEST)

    async def can_have_lost(self, stream: str, shard_id: str) -> bool:
        """Say whether records of a shard may have been trimmed, for all that Kinesis tells.

        Not of a stream that is younger than its retention, nor of a shard that was born behind the trim horizon.
        """
        summary = await self.summary(stream)
        horizon_us = self._clock.now_us() + CLOCKS_APART_US - summary.retention_us
        if summary.created_us > horizon_us:
            return False
        oldest = await self._pages(stream, ShardFilter={"Type": "AT_TRIM_HORIZON"})
        return any(shard["ShardId"] == shard_id for shard in oldest)

    async def create(self, stream: str, shards: int) -> None:
        """Create a stream, unless it is there; return when it can be used."""
        ShardMap.create(stream, shards)  # raises what is wrong with the number
        wait = self._calls.patience("create_stream")
        while True:
            try:
                await self._calls.once(
                    "create_stream",
                    StreamName=stream,
                    ShardCount=shards,
                    StreamModeDetails={"StreamMode": "PROVISIONED"},
                )
                break
            except NotNowError as error:
                if error.in_use:
                    break
                await wait(error)
            except NotValidError as error:
                raise LogError(f"{self._name}: stream {stream!r} cannot be created: {error}") from error
        await self._until_done(stream, ())

    async def split(self, stream: str, shard_id: str, at: int) -> None:
        """Split a shard; return when its children are there."""
        (await self.shard_map(stream)).split(shard_id, at)  # raises what is wrong with it
        await self._reshard(stream, (shard_id,), "split_shard", ShardToSplit=shard_id, NewStartingHashKey=str(at))

    async def merge(self, stream: str, shard_id: str, adjacent_shard_id: str) -> None:
        """Merge two shards; return when their child is there."""
        shard_map = await self.shard_map(stream)
        shard_map.merge(shard_id, adjacent_shard_id)  # raises what is wrong with it
        low, high = sorted((shard_id, adjacent_shard_id), key=lambda each: shard_map.get(each).hash_range)
        await self._reshard(stream, (low, high), "merge_shards", ShardToMerge=low, AdjacentShardToMerge=high)

    def missing(self, stream: str) -> LogError:
        """Return the error of a stream that is not there."""
        return LogError(f"there is no stream {stream!r} in {self._name}: create it first")

    async def _reshard(self, stream: str, parents: Sequence[str], operation: str, **what: object) -> None:
        wait = self._calls.patience(operation)
        while True:
            try:
                await self._calls.once(operation, StreamName=stream, **what)
                break
            except NotNowError as error:
                if await self._are_closed(stream, parents):
                    break
                await wait(error)
            except (NotThereError, NotValidError) as error:
                raise LogError(f"{self._name}: {error}") from error
        await self._until_done(stream, parents)

    async def _until_done(self, stream: str, parents: Sequence[str]) -> None:
        """Return when the stream is ACTIVE and ``parents`` are closed."""
        until_us = self._until_us(CHANGE_SECONDS_MAX)
        seconds = _LOOK_SECONDS_FIRST
        while not ((await self.summary(stream)).active and await self._are_closed(stream, parents)):
            if self._clock.now_us() >= until_us:
                raise LogError(f"{self._name}: stream {stream} is not ACTIVE after {CHANGE_SECONDS_MAX:.0f} s")
            await self._clock.sleep(seconds)
            seconds = min(2 * seconds, _LOOK_SECONDS_LONGEST)

    async def _are_closed(self, stream: str, parents: Sequence[str]) -> bool:
        if not parents:
            return True
        shard_map = await self.shard_map(stream)
        return all(shard_map.get(parent).closed for parent in parents)

    async def _pages(self, stream: str, **filters: object) -> list[dict[str, Any]]:
        """Return what all pages of ListShards hold."""
        found: list[dict[str, Any]] = []
        asked: dict[str, object] = {"StreamName": stream, **filters}
        while asked:
            try:
                answer = await self._calls.insist("list_shards", **asked)
            except (NotThereError, NotValidError) as error:
                raise self.missing(stream) from error
            found += answer["Shards"]
            asked = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
        return found

    def _until_us(self, seconds: float) -> int:
        return self._clock.now_us() + round(seconds * _US_PER_SECOND)


def _description(shard: dict[str, Any]) -> ShardDescription:
    hashes = shard["HashKeyRange"]
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return ShardDescription(
        shard["ShardId"],
        HashRange(int(hashes["StartingHashKey"]), int(hashes["EndingHashKey"])),
        tuple(parent for parent in parents if parent),
        closed="EndingSequenceNumber" in shard["SequenceNumberRange"],
    )
