"""Gathers what many put into one shard at once, so that one write and one sync serve them all.

While a thread waits for the disk, what comes in meanwhile waits in the queue; when the thread is back it takes all of
it.  So there is at most one thread to a shard, and a put waits for at most one sync besides its own.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
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
        self._lock = Lock()
        self._waiting: list[_Waiting] = []
        self._busy = False

    def put(self, batch: Sequence[Sequence[bytes]]) -> Future[list[int]]:
        """Return the future sequence numbers of the records of ``batch``; errors are those of ``ShardWriter.put``."""
        sequences: Future[list[int]] = Future()
        with self._lock:
            self._waiting.append(_Waiting(batch, sequences))
            if not self._busy:
                self._executor.submit(self._work)
                self._busy = True
        return sequences

    def _work(self) -> None:
        while True:
            with self._lock:
                waiting, self._waiting = self._waiting, []
                self._busy = bool(waiting)
            if not waiting:
                return
            self._put_together([one for one in waiting if one.sequences.set_running_or_notify_cancel()])

    def _put_together(self, waiting: Sequence[_Waiting]) -> None:
        if not waiting:
            return
        try:
            sequences = iter(self._writer.put([members for one in waiting for members in one.batch]))
        except Exception as error:  # noqa: BLE001 - it is raised again, in each who waits
            for one in waiting:
                one.sequences.set_exception(error)
        else:
            for one in waiting:
                one.sequences.set_result([next(sequences) for _ in one.batch])
