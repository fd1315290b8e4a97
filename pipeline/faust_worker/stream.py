"""What an agent's ``async for`` iterates over, and the topic behind it.

Faust's own stream acknowledges an event in a ``finally``: also when the agent's body raised, broke off or was
cancelled.  Here an event is acknowledged only when the body came back for the next one, which it does when it has
processed the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import faust

from pipeline.faust_worker import refusals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from faust.types import AppT, EventT, Message

    from pipeline.faust_worker.batches import ShardBatch


@refusals.refusing("Stream", refusals.OF_STREAMS)
class BatchStream(faust.Stream):  # type: ignore[type-arg]  # generic only to the type checker
    """A stream of shard batches."""

    def __aiter__(self) -> AsyncGenerator[ShardBatch, None]:
        """Return the batches; each is acknowledged when the next is asked for."""
        batches = self._batches()
        self._active_agens.add(batches)
        return batches

    async def _batches(self) -> AsyncGenerator[ShardBatch, None]:
        self._finalized = True
        started = await self.maybe_start()
        try:
            while not self.should_stop:
                event: EventT[ShardBatch] = await self.channel.__anext__()
                self.current_event = event
                yield cast("ShardBatch", event.value)
                self.current_event = None
                event.ack()
                del event  # while this waits for the next one, a shard may be given up
        except StopAsyncIteration:
            return  # how Faust tells an agent to stop
        finally:
            self._channel_stop_iteration(self.channel)
            if started:
                await self.stop()
                self.service_reset()


class BatchSchema(faust.Schema):  # type: ignore[type-arg]  # the same
    """Takes a message's value for what it is: a batch never was bytes."""

    def compile(self, app: AppT, **_handlers: object) -> Callable[..., Awaitable[EventT[ShardBatch]]]:
        """Return the function that makes a message an event."""

        async def decode(message: Message, **_options: object) -> EventT[ShardBatch]:
            return app.create_event(None, message.value, None, message)

        return decode


@refusals.refusing("Topic", refusals.OF_TOPICS)
class StreamTopic(faust.Topic):
    """A source stream, as Faust knows it."""
