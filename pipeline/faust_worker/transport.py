"""The ``kinesis://`` transport: how batches get into Faust and acknowledgements out of it.

A stage's source stream is a topic, each of its shards a partition, each batch a message.  Faust's own consumer polls a
broker, counts offsets and commits them.  None of that is wanted here: batches are delivered by a ``BatchSource``, and
the position is committed together with the state, before the acknowledgement.  So the consumer here is only the place
where ``deliver`` hands a batch to the conductor and waits for its acknowledgement.

Partitions are numbered as their shards turn up.  A new one is made known to the conductor and disturbs nobody: there is
no rebalance.  Offsets are dense and begin at 1, since Faust reads 0 as "none".
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NoReturn, cast

from faust.transport import base
from faust.transport.producer import Producer as FaustProducer
from faust.types import TP, ConsumerMessage
from faust.types.transports import ConsumerT
from mode import Service

from pipeline.faust_worker import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faust.types import Message
    from faust.types.transports import ConsumerCallback, TransportT

    from pipeline.faust_worker.batches import ShardBatch


FAUST_LOGGER = logging.getLogger("faust.worker")
"""Where Faust's services tell what they do; beside Faust's own, so that one level holds for all."""


class BatchConsumer(Service, ConsumerT):
    """Hands batches to Faust and waits for their acknowledgements."""

    logger = FAUST_LOGGER

    def __init__(self, transport: TransportT, callback: ConsumerCallback, **options: Any) -> None:  # noqa: ANN401
        Service.__init__(self, loop=options["loop"], beacon=options["beacon"])
        self.transport = transport
        self.app = transport.app
        self.callback = callback
        self.randomly_assigned_topics: set[str] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Has the exception of the first agent's body that raised."""
        self._subscribed = asyncio.Event()
        self._partitions: dict[tuple[str, str], TP] = {}
        self._offsets: dict[TP, int] = {}
        self._unacknowledged: dict[tuple[TP, int], asyncio.Future[None]] = {}

    async def deliver(self, batch: ShardBatch) -> None:
        """Hand a batch to its stage's agent, and return when it was acknowledged."""
        await self._subscribed.wait()
        owned = batch.owned
        partition = self._partitions.get((owned.stage.source_stream, owned.shard_id))
        if partition is None:
            partition = await self._add_partition(owned.stage.source_stream, owned.shard_id)
        offset = self._offsets[partition] = self._offsets[partition] + 1
        acknowledged = self._unacknowledged[partition, offset] = asyncio.get_running_loop().create_future()
        message = _message(partition, offset, batch)
        await self.callback(message)
        await acknowledged

    def ack(self, message: Message) -> bool:
        """Take Faust's word that a batch was processed; called once for each."""
        message.acked = True
        acknowledged = self._unacknowledged.pop((message.tp, message.offset))
        if not acknowledged.done():
            acknowledged.set_result(None)
        return True

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Begin to deliver: Faust's agents are there."""
        self.app.flow_control.resume()
        self._subscribed.set()

    async def _add_partition(self, topic: str, shard_id: str) -> TP:
        number = sum(1 for stream, _ in self._partitions if stream == topic)
        partition = self._partitions[topic, shard_id] = TP(topic, number)
        self._offsets[partition] = 0
        await self.app.topics.on_partitions_assigned(self.assignment())
        return partition

    # ------------------------------------------------------------------------------- what Faust asks of a consumer

    def assignment(self) -> set[TP]:
        """Return the partitions that were delivered from."""
        return set(self._partitions.values())

    @property
    def unacked(self) -> set[Message]:
        """Nothing: the worker stops Faust when all is acknowledged, or when that is not wanted any more."""
        return set()

    def highwater(self, tp: TP) -> int:
        """Return the offset of the last batch."""
        return self._offsets[tp]

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the offset of the last batch of each."""
        return {partition: self._offsets[partition] for partition in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the first offset of each, which is 1."""
        return dict.fromkeys(partitions, 1)

    async def position(self, tp: TP) -> int:
        """Return the offset of the last batch."""
        return self._offsets[tp]

    def topic_partitions(self, topic: str) -> int:
        """Return how many shards of a stream were delivered from."""
        return sum(1 for stream, _ in self._partitions if stream == topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int:
        """Return nothing of use: keys belong to hash ranges, and Faust sends nothing here."""
        return partition or 0

    async def commit(self, topics: object = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Do nothing: a batch's position was committed with its state, before its acknowledgement."""
        return False

    async def on_task_error(self, exc: BaseException) -> None:
        """Tell who waits that an agent's body raised; its batch stays unacknowledged for ever."""
        if not self.failed.done():
            self.failed.set_exception(exc)

    async def getmany(self, timeout: float) -> NoReturn:  # noqa: ASYNC109 - the name in Faust
        """Refuse: nothing is polled here."""
        raise NotImplementedError

    async def create_topic(self, *_arguments: object, **_options: object) -> None:
        """Do nothing: streams are made by the log."""

    async def perform_seek(self) -> None: ...
    async def seek(self, partition: TP, offset: int) -> None: ...
    async def seek_wait(self, partitions: Mapping[TP, int]) -> None: ...
    async def wait_empty(self) -> None: ...
    def track_message(self, message: Message) -> None: ...
    def stop_flow(self) -> None: ...
    def resume_flow(self) -> None: ...
    def pause_partitions(self, tps: Iterable[TP]) -> None: ...
    def resume_partitions(self, tps: Iterable[TP]) -> None: ...
    def on_buffer_full(self, tp: TP) -> None: ...
    def on_buffer_drop(self, tp: TP) -> None: ...
    def verify_recovery_event_path(self, now: float, tp: TP) -> None: ...
    def close(self) -> None: ...


@refusals.refusing("Producer", refusals.OF_PRODUCERS)
class NoProducer(FaustProducer):
    """Sends nothing: a shard publishes its outputs itself, before its commit."""

    async def flush(self) -> None:
        """Do nothing: nothing was sent."""


class Transport(base.Transport):
    """What ``kinesis://`` stands for."""

    Consumer = BatchConsumer
    Producer = NoProducer
    default_port = 0
    driver_version = "payments-on-streams"


def _message(partition: TP, offset: int, batch: ShardBatch) -> ConsumerMessage:
    return ConsumerMessage(
        topic=partition.topic,
        partition=partition.partition,
        offset=offset,
        timestamp=0.0,
        timestamp_type=0,
        headers=None,
        key=None,
        value=cast("bytes", batch),  # Faust does not look into it: see BatchSchema
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=partition,
    )
