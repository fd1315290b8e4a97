"""Gathers what many put into one shard at once, so that one write and one sync serve them all.

While a thread waits for the disk, what comes in meanwhile waits in the queue; when the thread is back it takes all of
it.  So there is at most one thread to a shard, and a put waits for at most one sync besides its own.
"""

from __future__ import annotations

from asyncio import Future, Task, get_running_loop
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from pipeline.stream_logs.local_writer import ShardWriter


class _Waiting(NamedTuple):
    batch: Sequence[Sequence[bytes]]
    sequences: Future[list[int]]


class PutQueue:
    """The queue before one shard's writer."""

    def __init__(self, writer: ShardWriter, executor: Executor) -> None:
        self._writer = writer
        self._executor = executor
        self._waiting: list[_Waiting] = []
        self._work: Task[None] | None = None

    async def put(self, batch: Sequence[Sequence[bytes]]) -> list[int]:
        """Return the sequence numbers of the records of ``batch``; errors are those of ``ShardWriter.put``."""
        loop = get_running_loop()
        sequences: Future[list[int]] = loop.create_future()
        self._waiting.append(_Waiting(batch, sequences))
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._put_waiting())
        return await sequences

    async def _put_waiting(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            waiting = [one for one in waiting if not one.sequences.done()]  # else whoever waited was cancelled
            if waiting:
                await self._put_together(waiting)

    async def _put_together(self, waiting: Sequence[_Waiting]) -> None:
        records = [user_records for one in waiting for user_records in one.batch]
        try:
            sequences = iter(await get_running_loop().run_in_executor(self._executor, self._writer.put, records))
        except Exception as error:  # noqa: BLE001 - it is raised again, in each who waits
            for one in waiting:
                if not one.sequences.done():
                    one.sequences.set_exception(error)
            return
        for one in waiting:
            own = [next(sequences) for _ in one.batch]
            if not one.sequences.done():
                one.sequences.set_result(own)
