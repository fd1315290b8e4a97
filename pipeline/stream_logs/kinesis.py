"""Kinesis as the log, over boto3: for replay, inspection, edges, and a worker of one process.

What each part does is told where it is: ``kinesis_client`` (where Kinesis is, and what its errors mean),
``kinesis_streams`` (shards, split, merge), ``kinesis_reader`` (reading), ``kinesis_numbers`` (sequence numbers),
``aggregation`` (one record of many).  ADR 17 has the decisions.

A put goes out in requests of 500 records and 5 MiB at most, one after the other.  Kinesis may store one entry of a
request and refuse the next, so *entries of one shard in one put may change their order*; whoever minds has one of them
on its way at a time, as the publisher does.  What was not stored, and what nobody knows of, is ``Refused`` with the
reason; the answer then comes after a random, growing wait, so that those who were throttled together do not come back
together.

Where Kinesis knows less than the other logs:

    ``behind_records``    user records that were read ahead, and one more if there is more: 0 only at the tip
    arrival times         in milliseconds, and "approximate": not promised to increase
    sequence numbers      begin anew in every shard
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.ports import Landed, Refused
from pipeline.settings import KinesisSettings
from pipeline.stream_logs import aggregation
from pipeline.stream_logs.backoff import Backoff
from pipeline.stream_logs.kinesis_client import KinesisCalls, NotNowError, NotThereError
from pipeline.stream_logs.kinesis_numbers import record_number
from pipeline.stream_logs.kinesis_reader import KinesisReader
from pipeline.stream_logs.kinesis_streams import KinesisStreams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.ports import Clock, Entry, ShardDescription, Slice

REQUEST_RECORDS_MAX = 500
REQUEST_BYTES_MAX = 5 << 20
"""Data and partition keys."""


class KinesisLog:
    """The streams of one account and region; see ``ports.Log`` for what each method promises.

    ``client`` is one of boto3's, made by ``kinesis_client.connect``; ``name`` stands in messages.
    """

    def __init__(self, client: Any, clock: Clock, name: str, settings: KinesisSettings | None = None) -> None:  # noqa: ANN401 - boto3 makes its clients' types at run time
        settings = settings or KinesisSettings()
        self._clock = clock
        self._calls = KinesisCalls(client, clock, settings.unavailable_seconds_max)
        self._streams = KinesisStreams(self._calls, clock, name)
        self._reader = KinesisReader(self._calls, self._streams, clock, settings.reads_per_second_max)
        self._backoffs: dict[str, Backoff] = {}

    async def incarnation_of(self, stream: str) -> str:
        """Return account, region and the moment at which the stream was created."""
        return (await self._streams.summary(stream)).incarnation

    async def retention_us(self, stream: str) -> int:
        """Return what the stream is set to."""
        return (await self._streams.summary(stream)).retention_us

    async def create_stream(self, stream: str, shards: int) -> None:
        """Create ``stream``, provisioned, unless it is there; return when it is ACTIVE."""
        await self._streams.create(stream, shards)

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards that Kinesis still lists, parents before their children."""
        return (await self._streams.shard_map(stream)).shards

    async def split(self, stream: str, shard_id: str, at: int) -> None:
        """Close a shard and open two; return when they are there."""
        await self._streams.split(stream, shard_id, at)

    async def merge(self, stream: str, shard_id: str, adjacent_shard_id: str) -> None:
        """Close two adjacent shards and open one; return when it is there."""
        await self._streams.merge(stream, shard_id, adjacent_shard_id)

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        """Store the entries; once a request has come back with something refused, the next are not tried."""
        results: list[Landed | Refused] = []
        for request in _requests([_packed(entry) for entry in entries]):
            results += await self._put(stream, request)
            refused = [result.reason for result in results if isinstance(result, Refused)]
            if refused:
                not_tried = Refused(f"not tried, because another entry of the put was refused: {refused[0]}")
                results += [not_tried] * (len(entries) - len(results))
                await self._clock.sleep(self._backoffs.setdefault(stream, Backoff()).failed())
                return results
        self._backoffs.pop(stream, None)
        return results

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        """Return the records behind ``after``, when the shard may be asked again."""
        return await self._reader.read(stream, shard_id, after, limit)

    async def trim_horizon(self, stream: str, shard_id: str) -> int:
        """Return the position before the oldest record kept."""
        return await self._reader.trim_horizon(stream, shard_id)

    async def latest(self, stream: str, shard_id: str) -> int:
        """Return the sequence number of the newest record, which is read for it."""
        return await self._reader.latest(stream, shard_id)

    async def at_time(self, stream: str, shard_id: str, arrival_us: int) -> int:
        """Return the position before the first record that arrived at or after ``arrival_us``."""
        return await self._reader.at_time(stream, shard_id, arrival_us)

    def close(self) -> None:
        """Finish the calls in hand; a closed log must not be used."""
        self._calls.close()

    async def _put(self, stream: str, request: Sequence[dict[str, Any]]) -> list[Landed | Refused]:
        try:
            answer = await self._calls.once("put_records", StreamName=stream, Records=request)
        except NotNowError as error:
            return [Refused(str(error))] * len(request)
        except NotThereError as error:
            raise self._streams.missing(stream) from error
        return [await self._result(stream, result) for result in answer["Records"]]

    async def _result(self, stream: str, result: dict[str, Any]) -> Landed | Refused:
        if result.get("ErrorCode"):
            return Refused(f"{result['ErrorCode']}: {result.get('ErrorMessage', 'no reason given')}")
        shard_id = result["ShardId"]
        await self._streams.until_listed(stream, shard_id)
        return Landed(shard_id, record_number(int(result["SequenceNumber"])))


def _packed(entry: Entry) -> dict[str, Any]:
    return {
        "Data": aggregation.pack(entry.explicit_hash, entry.user_records),
        "ExplicitHashKey": aggregation.hash_key_text(entry.explicit_hash),
        "PartitionKey": aggregation.PARTITION_KEY,
    }


def _requests(records: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    """Cut ``records`` into requests that Kinesis takes, in order."""
    request: list[dict[str, Any]] = []
    size = 0
    for record in records:
        record_bytes = len(record["Data"]) + len(record["PartitionKey"])
        if request and (len(request) == REQUEST_RECORDS_MAX or size + record_bytes > REQUEST_BYTES_MAX):
            yield request
            request, size = [], 0
        request.append(record)
        size += record_bytes
    if request:
        yield request
