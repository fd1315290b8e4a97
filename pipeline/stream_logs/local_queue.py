"""Gathers what many put into a log at once, so that one thread writes it all, and one sync of a shard serves all of it.

While the thread waits for the disk, what comes in meanwhile waits in the queue; when the thread is back it takes all
of it.  So a put waits for at most one round besides its own.

The shards of a round are synced one after the other where the disk is quick: threads would cost more than they save.
Where the first sync took its time, the others go side by side.
"""

from __future__ import annotations

from asyncio import Future, Task, get_running_loop
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from pipeline.stream_logs.local_writer import ShardWriter

QUICK_SYNC_SECONDS = 0.001


class _Waiting(NamedTuple):
    batch: Sequence[Sequence[bytes]]
    sequences: Future[list[int]]


class _Written(NamedTuple):
    """What one shard was given in a round: the sequence numbers, or what went wrong."""

    writer: ShardWriter
    result: list[int] | Exception


class PutQueue:
    """The queue before the writers of a log's shards."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: dict[ShardWriter, list[_Waiting]] = {}
        self._work: Task[None] | None = None

    def put(self, writer: ShardWriter, batch: Sequence[Sequence[bytes]]) -> Future[list[int]]:
        """Return the sequence numbers of the records of ``batch``, once all are on disk.

        Errors are those of ``ShardWriter.append`` and ``ShardWriter.sync``.
        """
        loop = get_running_loop()
        sequences: Future[list[int]] = loop.create_future()
        self._waiting.setdefault(writer, []).append(_Waiting(batch, sequences))
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._put_waiting())
        return sequences

    async def _put_waiting(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, {}
            work: list[tuple[ShardWriter, list[_Waiting]]] = []
            for writer, waiting in taken.items():
                wanted = [one for one in waiting if not one.sequences.done()]  # else whoever waited was cancelled
                if wanted:
                    work.append((writer, wanted))
            if work:
                results = await get_running_loop().run_in_executor(self._executor, self._put, work)
                for (_, wanted), result in zip(work, results, strict=True):
                    _tell(wanted, result)

    def _put(self, work: Sequence[tuple[ShardWriter, Sequence[_Waiting]]]) -> list[list[int] | Exception]:
        """Write everything, then make it durable."""
        written = [_append(writer, waiting) for writer, waiting in work]
        started = perf_counter()
        first = _sync(written[0])
        is_quick = perf_counter() - started < QUICK_SYNC_SECONDS
        others = map(_sync, written[1:]) if is_quick else self._executor.map(_sync, written[1:])
        return [first, *others]


def _append(writer: ShardWriter, waiting: Sequence[_Waiting]) -> _Written:
    try:
        return _Written(writer, writer.append([user_records for one in waiting for user_records in one.batch]))
    except Exception as error:  # noqa: BLE001 - it is raised again, in each who waits
        return _Written(writer, error)


def _sync(written: _Written) -> list[int] | Exception:
    if isinstance(written.result, list):
        try:
            written.writer.sync(written.result[-1])
        except Exception as error:  # noqa: BLE001 - the same
            return error
    return written.result


def _tell(waiting: Sequence[_Waiting], result: list[int] | Exception) -> None:
    if isinstance(result, Exception):
        for one in waiting:
            if not one.sequences.done():
                one.sequences.set_exception(result)
        return
    sequences = iter(result)
    for one in waiting:
        own = [next(sequences) for _ in one.batch]
        if not one.sequences.done():
            one.sequences.set_result(own)
