"""Reading the shards of Kinesis: from a position on, ahead of who asks, and never past something that is missing.

Kinesis is read by iterators: each answer has the next one.  A *feed* is one such chain and what it has brought that
nobody has taken yet.  Between two reads a feed waits under the position at which the last one stopped, so whoever goes
on from there goes on with it, and several readers of a shard disturb nobody.

    read after p ── a feed waits at p? ── yes ─────────────────────────────── take from it ── it waits at the new p
                            │ no                                                  │ it is empty: fetch until there
                            └── iterator AT the record that p names ── is it there? ── yes    are records, the tip
                                                                       │ no                   or the shard's end
                                                                       └── TrimmedRangeError, BeyondEndError

The proof that nothing is missing behind p is the record that p names: Kinesis keeps records in order, so where it is
kept, all behind it are.  If it is not, Kinesis would silently go on with the oldest record there is; here the shard
stops, although on a shard that nobody wrote to for its whole retention nothing may be missing at all.

An empty answer is no tip: only MillisBehindLatest 0 is, and only the absence of a next iterator is the end.  A shard is
asked no more often than the pace allows, five times a second in all; who must wait for a turn waits in ``read``.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import BeyondEndError, LogError, TrimmedRangeError
from pipeline.ports import Record, Slice
from pipeline.stream_logs import kinesis_numbers as numbers
from pipeline.stream_logs.aggregation import unpack
from pipeline.stream_logs.kinesis_client import ExpiredIteratorError, NotThereError, NotValidError
from pipeline.stream_logs.kinesis_streams import microseconds

if TYPE_CHECKING:
    from pipeline.ports import Clock
    from pipeline.stream_logs.kinesis_client import KinesisCalls
    from pipeline.stream_logs.kinesis_streams import KinesisStreams

FETCH_RECORDS_MAX = 1_000
"""Asked for at once; an answer has at most 10 MiB."""
FEEDS_MAX = 256
"""Kept at the same time, the last used."""
LOOK_BACK_SECONDS = (10, 600, 6 * 3_600)
"""Where the newest record is looked for, before the whole shard is read for it."""

_US_PER_MS = 1_000
_US_PER_SECOND = 1_000_000
_TRIM_HORIZON = {"ShardIteratorType": "TRIM_HORIZON"}


class _Feed:
    """One chain of iterators, and the records that it has brought."""

    __slots__ = ("anchor", "behind_us", "iterator", "records", "through")

    def __init__(self, after: int, iterator: str) -> None:
        self.anchor: int | None = None
        """What the numbers of the shard's records have in common; None before the first."""
        self.through = after
        """The position up to which records were fetched."""
        self.iterator: str | None = iterator
        """None when the shard has ended."""
        self.records: deque[Record] = deque()
        self.behind_us = 1
        """How much younger the shard's newest record is than the last one fetched; 0 at the tip."""

    @property
    def at_tip(self) -> bool:
        """Say whether nothing is known to lie behind what was fetched."""
        return self.iterator is None or self.behind_us == 0

    def add(self, answer: dict[str, Any]) -> None:
        """Take in what GetRecords answered."""
        for found in answer["Records"]:
            kinesis_number = int(found["SequenceNumber"])
            number, anchor = numbers.record_number(kinesis_number), numbers.anchor(kinesis_number)
            if self.anchor is not None and (number <= self.through or anchor != self.anchor):
                raise LogError(
                    f"Kinesis gave record {kinesis_number} behind position {self.through} (anchor {self.anchor}): its "
                    "numbers do not increase, so this build cannot say where the record is"
                )
            self.anchor = anchor
            arrival_us = microseconds(found["ApproximateArrivalTimestamp"])
            self.records.append(Record(number, arrival_us, unpack(found["Data"])))
            self.through = number
        self.iterator = answer.get("NextShardIterator")
        self.behind_us = answer["MillisBehindLatest"] * _US_PER_MS

    def take(self, limit: int) -> Slice:
        """Return the next records, whole ones, until they hold ``limit`` user records or there are no more."""
        taken: list[Record] = []
        count = 0
        while self.records and (count < limit or not taken):
            taken.append(self.records.popleft())
            count += len(taken[-1].user_records)
        ended = self.iterator is None and not self.records
        more = 0 if self.at_tip else 1
        behind_us = 0 if self.iterator is None else self.behind_us
        if self.records:
            behind_us += self.records[-1].arrival_us - taken[-1].arrival_us
        left = sum(len(record.user_records) for record in self.records)
        return Slice(tuple(taken), ended, left + more, behind_us)


class _Oldest(NamedTuple):
    """The oldest record of a shard: its number, and what the numbers of all have in common."""

    sequence: int
    anchor: int


class KinesisReader:
    """Reads shards for one process."""

    def __init__(self, calls: KinesisCalls, streams: KinesisStreams, clock: Clock, reads_per_second_max: float) -> None:
        """Ask each shard ``reads_per_second_max`` times a second at most."""
        self._calls = calls
        self._streams = streams
        self._clock = clock
        self._interval_us = round(_US_PER_SECOND / reads_per_second_max)
        self._turns: dict[tuple[str, str], int] = {}
        self._feeds: OrderedDict[tuple[str, str, int], _Feed] = OrderedDict()

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        """Return the records behind ``after``; see ``ports.Log``."""
        feed = self._feeds.pop((stream, shard_id, after), None)  # nobody else has it while it is used
        if feed is None:
            feed = await self._open(stream, shard_id, after)
        if feed.iterator is not None:
            feed = await self._first(stream, shard_id, feed)
        given = feed.take(limit)
        self._feeds[stream, shard_id, given.records[-1].sequence if given.records else after] = feed
        if len(self._feeds) > FEEDS_MAX:
            self._feeds.popitem(last=False)
        return given

    async def trim_horizon(self, stream: str, shard_id: str) -> int:
        """Return the position before the oldest record kept."""
        if not await self._streams.can_have_lost(stream, shard_id):
            await self._streams.anchor_of(stream, shard_id)  # raises if there is no such shard
            return numbers.FROM_THE_FIRST
        return await self._before_oldest(stream, shard_id) or numbers.FROM_WHAT_IS_KEPT

    async def latest(self, stream: str, shard_id: str) -> int:
        """Return the position behind the newest record."""
        created_us = (await self._streams.summary(stream)).created_us
        for seconds in LOOK_BACK_SECONDS:
            since_us = self._clock.now_us() - seconds * _US_PER_SECOND
            if since_us > created_us:
                newest = await self._newest(stream, shard_id, await self._from_time(stream, shard_id, since_us))
                if newest is not None:
                    return newest
        feed = await self._begin(stream, shard_id, numbers.FROM_WHAT_IS_KEPT, _TRIM_HORIZON)
        newest = await self._newest(stream, shard_id, feed)
        if newest is not None:
            return newest
        lost = await self._streams.can_have_lost(stream, shard_id)
        return numbers.FROM_WHAT_IS_KEPT if lost else numbers.FROM_THE_FIRST

    async def at_time(self, stream: str, shard_id: str, arrival_us: int) -> int:
        """Return the position before the first record that arrived at or after ``arrival_us``."""
        newest = await self.latest(stream, shard_id)  # first, so that what arrives meanwhile is not passed over
        since_us = max(arrival_us, (await self._streams.summary(stream)).created_us)
        try:
            feed = await self._from_time(stream, shard_id, since_us)
        except NotValidError:  # a time to come
            return newest
        while True:
            feed = await self._fetch(stream, shard_id, feed)
            for record in feed.records:
                if record.arrival_us >= arrival_us:
                    return numbers.before_record(record.sequence)
            feed.records.clear()
            if feed.at_tip:
                return newest

    async def _open(self, stream: str, shard_id: str, after: int) -> _Feed:
        """Return a feed of what lies behind ``after``, of which nothing is missing."""
        if after == numbers.FROM_THE_FIRST and await self._streams.can_have_lost(stream, shard_id):
            raise TrimmedRangeError(stream, shard_id, after, await self._before_oldest(stream, shard_id))
        if after <= numbers.FROM_WHAT_IS_KEPT:
            return await self._begin(stream, shard_id, after, _TRIM_HORIZON)
        feed = await self._at_record(stream, shard_id, after)
        if feed is None:
            oldest = await self._oldest(stream, shard_id)
            if oldest is not None and self._streams.correct_anchor(stream, shard_id, oldest.anchor):
                feed = await self._at_record(stream, shard_id, after)
        if feed is None:
            raise await self._what_is_wrong(stream, shard_id, after)
        return feed

    async def _at_record(self, stream: str, shard_id: str, after: int) -> _Feed | None:
        """Return a feed that begins behind ``after``, or None if the record that ``after`` names is not there."""
        number = numbers.kinesis_number(await self._streams.anchor_of(stream, shard_id), after)
        at = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": str(number)}
        try:
            feed = await self._begin(stream, shard_id, numbers.before_record(numbers.named_record(after)), at)
        except (NotThereError, NotValidError):
            return None
        feed = await self._first(stream, shard_id, feed)
        if not feed.records or feed.records[0].sequence != numbers.named_record(after):
            return None
        if numbers.is_behind_record(after):
            feed.records.popleft()
        return feed

    async def _what_is_wrong(self, stream: str, shard_id: str, after: int) -> Exception:
        """Return why the record that ``after`` names is not there, as far as Kinesis can tell."""
        oldest = await self._before_oldest(stream, shard_id)
        if oldest is None or after < oldest:
            return TrimmedRangeError(stream, shard_id, after, oldest)
        newest = await self.latest(stream, shard_id)
        if after > newest:
            return BeyondEndError(stream, shard_id, after, newest)
        return LogError(
            f"{stream}/{shard_id}: the position {after} names no record, though there are some before and behind it; "
            "it belongs to another log"
        )

    async def _before_oldest(self, stream: str, shard_id: str) -> int | None:
        """Return the position before the oldest record kept, or None if none is."""
        oldest = await self._oldest(stream, shard_id)
        return None if oldest is None else numbers.before_record(oldest.sequence)

    async def _oldest(self, stream: str, shard_id: str) -> _Oldest | None:
        feed = await self._begin(stream, shard_id, numbers.FROM_WHAT_IS_KEPT, _TRIM_HORIZON)
        feed = await self._first(stream, shard_id, feed, 1)
        if not feed.records or feed.anchor is None:
            return None
        return _Oldest(feed.records[0].sequence, feed.anchor)

    async def _first(self, stream: str, shard_id: str, feed: _Feed, records_max: int = FETCH_RECORDS_MAX) -> _Feed:
        """Fetch until a feed that has none has records, or is at the tip."""
        while not feed.records:
            feed = await self._fetch(stream, shard_id, feed, records_max)
            if feed.at_tip:
                break
        return feed

    async def _newest(self, stream: str, shard_id: str, feed: _Feed) -> int | None:
        """Read a feed to the tip; return the last record's number, or None if there was none."""
        newest = None
        while True:
            feed = await self._fetch(stream, shard_id, feed)
            if feed.records:
                newest = feed.records[-1].sequence
                feed.records.clear()
            if feed.at_tip:
                return newest

    async def _from_time(self, stream: str, shard_id: str, arrival_us: int) -> _Feed:
        """Return a feed that begins in the second of ``arrival_us``: boto3 sends no fractions."""
        moment = datetime.fromtimestamp(arrival_us // _US_PER_SECOND, UTC)
        at = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": moment}
        return await self._begin(stream, shard_id, numbers.FROM_WHAT_IS_KEPT, at)

    async def _begin(self, stream: str, shard_id: str, after: int, at: dict[str, Any]) -> _Feed:
        await self._streams.anchor_of(stream, shard_id)  # raises if there is no such shard
        answer = await self._calls.insist("get_shard_iterator", StreamName=stream, ShardId=shard_id, **at)
        return _Feed(after, answer["ShardIterator"])

    async def _fetch(self, stream: str, shard_id: str, feed: _Feed, records_max: int = FETCH_RECORDS_MAX) -> _Feed:
        """Ask once for more; return the feed, or the one that goes on where its iterator has expired."""
        await self._wait_for_turn(stream, shard_id)
        try:
            answer = await self._calls.insist("get_records", ShardIterator=feed.iterator, Limit=records_max)
        except ExpiredIteratorError:
            return await self._open(stream, shard_id, feed.through)
        feed.add(answer)
        return feed

    async def _wait_for_turn(self, stream: str, shard_id: str) -> None:
        now_us = self._clock.now_us()
        turn_us = max(now_us, self._turns.get((stream, shard_id), 0))
        self._turns[stream, shard_id] = turn_us + self._interval_us
        if turn_us > now_us:
            await self._clock.sleep((turn_us - now_us) / _US_PER_SECOND)
