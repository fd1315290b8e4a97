"""Brings messages to their addresses: those that are owed until they have arrived, others once and in time.

    owed       in order, one post to an address at a time, again and again until the other side has it
    dispatch   several posts to an address at a time; nothing is posted after its time; when a post fails, nobody knows
               whether it has arrived, and whoever sent it must ask

A turn only begins posts, and never waits for one.  An address that cannot be reached is left alone for a moment, and
holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict, deque
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from agents.edge.wire.port import Refusal, UnreachableError, Wire

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from agents.edge.wire.outbox import Outbox, Owed
    from pipeline.ports import Clock

MESSAGES_PER_POST_MAX: Final = 500
POST_BYTES_MAX: Final = 1 << 20
"""Of the messages of a post, before the last one."""
DISPATCHES_AT_ONCE_MAX: Final = 4
"""Posts of dispatches to one address."""
POST_SECONDS_MAX: Final = 5.0
RETRY_US: Final = 250_000

logger = logging.getLogger("payments.edge.courier")

Subject = TypeVar("Subject")


class Dispatch(NamedTuple, Generic[Subject]):
    """A message that goes once."""

    subject: Subject
    """What it is about."""
    document: bytes
    until_us: int
    """When it must have been posted."""


class Fate(StrEnum):
    """What became of a dispatch."""

    ARRIVED = "arrived"
    REFUSED = "refused"
    DOUBTFUL = "doubtful"
    """Nobody knows whether it arrived."""
    TOO_LATE = "too late"
    """It was never posted."""


class Report(NamedTuple, Generic[Subject]):
    """The end of a dispatch."""

    subject: Subject
    fate: Fate


class Courier(Generic[Subject]):
    """All posts of one process."""

    def __init__(self, wire: Wire, clock: Clock, outbox: Outbox) -> None:
        self._wire = wire
        self._clock = clock
        self._outbox = outbox
        self._dispatches: defaultdict[str, deque[Dispatch[Subject]]] = defaultdict(deque)
        self._posts: Counter[str] = Counter()
        """Of dispatches, by address, now."""
        self._bringing_owed: set[str] = set()
        self._left_alone_until_us: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reports: list[Report[Subject]] = []
        self._failure: BaseException | None = None

    def send(self, address: str, dispatch: Dispatch[Subject]) -> None:
        """Send a message with the next turn, or as soon as there is room."""
        self._dispatches[address].append(dispatch)

    def turn(self) -> None:
        """Begin the posts that can be begun; raise what an earlier one has come upon that is not the wire's fault."""
        if self._failure is not None:
            raise self._failure
        for address, waiting in self._dispatches.items():
            while waiting and self._posts[address] < DISPATCHES_AT_ONCE_MAX:
                self._begin_dispatches(address, waiting)
        now_us = self._clock.now_us()
        for address in self._outbox.waiting(now_us):
            if address not in self._bringing_owed and self._left_alone_until_us.get(address, 0) <= now_us:
                owed = self._outbox.due(address, now_us, MESSAGES_PER_POST_MAX)
                if owed:
                    self._bringing_owed.add(address)
                    self._begin(self._bring_owed(address, owed))

    def reports(self) -> list[Report[Subject]]:
        """Return, once, what became of dispatches since the last call."""
        reports, self._reports = self._reports, []
        return reports

    async def close(self) -> None:
        """End the posts that are under way: for the other side it is as if this process had been killed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, post: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(post)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()

    def _begin_dispatches(self, address: str, waiting: deque[Dispatch[Subject]]) -> None:
        now_us = self._clock.now_us()
        batch: list[Dispatch[Subject]] = []
        size = 0
        while waiting and len(batch) < MESSAGES_PER_POST_MAX and size < POST_BYTES_MAX:
            dispatch = waiting.popleft()
            if now_us < dispatch.until_us:
                batch.append(dispatch)
                size += len(dispatch.document)
            else:
                self._reports.append(Report(dispatch.subject, Fate.TOO_LATE))
        if batch:
            self._posts[address] += 1
            left_seconds = (min(dispatch.until_us for dispatch in batch) - now_us) / 1_000_000
            self._begin(self._post_dispatches(address, batch, min(POST_SECONDS_MAX, left_seconds)))

    async def _post_dispatches(self, address: str, batch: Sequence[Dispatch[Subject]], seconds_max: float) -> None:
        """Post once: what has not been answered when the first of the batch is late counts as doubtful."""
        try:
            refusals = await self._wire.post(address, [dispatch.document for dispatch in batch], seconds_max)
        except UnreachableError as failure:
            logger.warning("%d messages may have arrived or not: %s", len(batch), failure)
            fates = dict.fromkeys(range(len(batch)), Fate.DOUBTFUL)
        else:
            fates = {refusal.number: Fate.REFUSED for refusal in refusals}
            _tell(address, refusals)
        finally:
            self._posts[address] -= 1
        self._reports += [
            Report(dispatch.subject, fates.get(number, Fate.ARRIVED)) for number, dispatch in enumerate(batch)
        ]

    async def _bring_owed(self, address: str, owed: Sequence[Owed]) -> None:
        try:
            refusals = await self._wire.post(address, [each.document for each in owed], POST_SECONDS_MAX)
        except UnreachableError as failure:
            logger.warning("%d messages are still owed: %s", len(owed), failure)
            self._left_alone_until_us[address] = self._clock.now_us() + RETRY_US
            return
        finally:
            self._bringing_owed.discard(address)
        _tell(address, refusals)
        why = {refusal.number: f"{refusal.path}: {refusal.message} [{refusal.rule}]" for refusal in refusals}
        for number, each in enumerate(owed):
            if number in why:
                self._outbox.refuse(each.number, why[number])
        self._outbox.acknowledge(each.number for number, each in enumerate(owed) if number not in why)


def _tell(address: str, refusals: Sequence[Refusal]) -> None:
    for refusal in refusals:
        logger.error("%s refused a message: %s: %s [%s]", address, refusal.path, refusal.message, refusal.rule)
