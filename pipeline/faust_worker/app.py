"""The Faust app of a worker: one agent for each stage, and of Faust's services only those that carry events.

Left out are the producer, tables and their recovery, changelogs, leader election, replies, sensors and the web server:
none has work here, and several of them need a broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import faust
from faust.app import BootStrategy
from faust.transport import drivers
from faust.types.tables import TableManagerT
from mode import Service
from mode.supervisors import SupervisorStrategy

from pipeline.faust_worker import refusals
from pipeline.faust_worker.errors import RefusedFeatureError
from pipeline.faust_worker.stream import BatchSchema, BatchStream, StreamTopic
from pipeline.faust_worker.transport import FAUST_LOGGER, BatchConsumer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from faust.types import AppT, CollectionT, StreamT
    from mode.types import ServiceT

    from pipeline.faust_worker.batches import ShardBatch
    from pipeline.kernel.agent import Stage

SCHEME = "kinesis"
drivers.TRANSPORTS.aliases[SCHEME] = "pipeline.faust_worker.transport:Transport"


class OnlyEvents(BootStrategy):
    """Starts the consumer, the agents, and the conductor between them."""

    def server(self) -> Iterable[ServiceT]:
        """Return the services to start, in order."""
        return [self.app.consumer, self.app.agents, self.app.topics]


class NoTables(Service, TableManagerT):
    """Says that all tables are there, for there are none."""

    logger = FAUST_LOGGER

    def __init__(self, app: AppT, **options: Any) -> None:  # noqa: ANN401 - Faust knows what they are
        Service.__init__(self, **options)
        self.app = app
        self.data: dict[str, Any] = {}

    def __hash__(self) -> int:
        return object.__hash__(self)

    @property
    def changelog_topics(self) -> set[str]:
        """Return nothing."""
        return set()

    def add(self, table: CollectionT) -> CollectionT:
        """Refuse."""
        raise RefusedFeatureError(f"tables of Faust are refused here; instead: {refusals.OF_APPS['Table']}")

    async def wait_until_tables_registered(self) -> None: ...
    async def wait_until_recovery_completed(self) -> bool:
        """Say that the app did not stop meanwhile."""
        return False

    async def on_rebalance(self, *_arguments: object, **_options: object) -> None: ...
    def on_rebalance_start(self) -> None: ...
    def on_partitions_revoked(self, revoked: object) -> None: ...
    def on_commit(self, offsets: object) -> None: ...
    def persist_offset_on_commit(self, store: object, tp: object, offset: int) -> None: ...


class NoRestart(SupervisorStrategy):
    """Leaves a dead agent dead: its batch must not be taken for processed, and the worker is stopping."""

    logger = FAUST_LOGGER

    async def restart_services(self, services: list[ServiceT]) -> None: ...


@refusals.refusing("Agent", refusals.OF_AGENTS)
class StageAgent(faust.Agent):
    """The agent of one stage."""

    logger = FAUST_LOGGER

    def __init__(self, *arguments: Any, sink: Iterable[object] | None = None, **options: Any) -> None:  # noqa: ANN401
        if sink:
            raise RefusedFeatureError(f"sinks of Faust are refused here; instead: {refusals.OF_AGENTS['add_sink']}")
        super().__init__(*arguments, **options)


@refusals.refusing("App", refusals.OF_APPS)
class ShardBatchApp(faust.App):
    """A Faust app that is fed shard batches."""

    logger = FAUST_LOGGER

    BootStrategy = OnlyEvents

    def __init__(self, worker_id: str) -> None:
        super().__init__(
            worker_id,
            broker=f"{SCHEME}://",
            store="memory://",
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            reply_create_topic=False,
            stream_wait_empty=False,
            Agent=StageAgent,
            Stream=BatchStream,
            Topic=StreamTopic,
            Schema=BatchSchema,
            TableManager=NoTables,
            agent_supervisor=NoRestart,
        )

    @property
    def batches(self) -> BatchConsumer:
        """Where batches are delivered."""
        return cast("BatchConsumer", self.consumer)

    async def on_first_start(self) -> None:
        """Make no folders: Faust keeps nothing."""

    def add_stage(self, stage: Stage, process: Callable[[ShardBatch], Awaitable[None]], at_once_max: int) -> None:
        """Define the agent of ``stage``: it processes the batches of up to ``at_once_max`` shards at the same time."""

        async def work(batches: StreamT[ShardBatch]) -> None:
            async for batch in batches:
                await process(batch)
                del batch  # see BatchStream

        self.agent(self.topic(stage.source_stream), name=stage.name, concurrency=at_once_max)(work)

    def add_stages(
        self, stages: Sequence[Stage], process: Callable[[ShardBatch], Awaitable[None]], at_once_max: int
    ) -> None:
        """Define an agent for each of ``stages``, which read different streams."""
        streams = [stage.source_stream for stage in stages]
        for stage in stages:
            if streams.count(stage.source_stream) > 1:
                raise RefusedFeatureError(
                    f"two stages of one worker read {stage.source_stream}; run them in workers of their own"
                )
            self.add_stage(stage, process, at_once_max)
