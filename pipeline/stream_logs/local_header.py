"""The small file that tells all processes how far a shard of the embedded log has come.

It is mapped into the memory of every process that has the shard open, so a look at it costs no system call.  It holds
numbers of eight bytes, each read and written in one piece.  Which of them may be written under which lock:

    append lock   END, USER_RECORDS, ARRIVAL, SEGMENT, UNCLEAN    where the next frame goes
    sync lock     DURABLE_*, SYNC_FAILED, HORIZON                 what is on disk: readers read that
    both          STATE                                           open, closing or closed
    stream lock   STATE of a closing shard whose resharder died

The file itself is not synced with each append.  After a loss of power it may tell of an earlier moment, never of more
than was synced: whoever opens the shard then finds frames behind the durable end and recovers them.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import LogError
from pipeline.stream_logs.local_files import write_file

if TYPE_CHECKING:
    from pathlib import Path

HEADER_BYTES = 4096
MAGIC = int.from_bytes(b"SHARDv01", sys.byteorder)

OPEN, CLOSING, CLOSED = 0, 1, 2

(
    _MAGIC,
    _BORN,
    _HORIZON,
    _STATE,
    _END,
    _USER_RECORDS,
    _ARRIVAL,
    _SEGMENT,
    _UNCLEAN,
    _DURABLE_END,
    _DURABLE_USER_RECORDS,
    _DURABLE_ARRIVAL,
    _SYNC_FAILED,
) = range(13)


class Tip(NamedTuple):
    """The end of a shard at some moment."""

    end: int
    """Offset behind the last frame, which is its sequence number."""
    user_records: int
    """User records of the shard, from its beginning."""
    arrival_us: int
    """Arrival time of the newest record."""
    segment: int
    """Offset at which the segment begins that the next frame goes to."""


def create_header(path: Path, tip: Tip) -> None:
    """Write the header of a new shard, whose first frame will begin at ``tip.end``."""
    cells = [0] * (HEADER_BYTES // 8)
    cells[_MAGIC] = MAGIC
    cells[_BORN] = cells[_HORIZON] = cells[_END] = cells[_DURABLE_END] = cells[_SEGMENT] = tip.end
    cells[_ARRIVAL] = cells[_DURABLE_ARRIVAL] = tip.arrival_us
    write_file(path, b"".join(cell.to_bytes(8, sys.byteorder) for cell in cells))


class ShardHeader:
    """The mapped header of one shard."""

    __slots__ = ("_cells", "_map", "born", "writable")

    def __init__(self, path: Path) -> None:
        try:
            file, self.writable = os.open(path, os.O_RDWR | os.O_CLOEXEC), True
        except PermissionError:
            file, self.writable = os.open(path, os.O_RDONLY | os.O_CLOEXEC), False
        try:
            if os.fstat(file).st_size != HEADER_BYTES:
                raise LogError(f"{path} is damaged: it should have {HEADER_BYTES} bytes; restore it from a copy")
            self._map = mmap.mmap(file, HEADER_BYTES, access=mmap.ACCESS_WRITE if self.writable else mmap.ACCESS_READ)
        finally:
            os.close(file)
        self._cells = memoryview(self._map).cast("Q")
        if self._cells[_MAGIC] != MAGIC:
            self.close()
            raise LogError(f"{path} is not the header of a shard, or this build does not know its format")
        self.born: int = self._cells[_BORN]

    @property
    def horizon(self) -> int:
        """The offset at which the oldest frame kept begins."""
        return self._cells[_HORIZON]

    def move_horizon(self, horizon: int) -> None:
        """Say, durably, that nothing before ``horizon`` is kept."""
        self._cells[_HORIZON] = horizon
        self.sync()

    @property
    def state(self) -> int:
        """``OPEN``, ``CLOSING`` while it is being split or merged, or ``CLOSED``."""
        return self._cells[_STATE]

    def change_state(self, state: int) -> None:
        """Enter ``state``, durably."""
        self._cells[_STATE] = state
        self.sync()

    @property
    def tip(self) -> Tip:
        """The end of what was written."""
        cells = self._cells
        return Tip(cells[_END], cells[_USER_RECORDS], cells[_ARRIVAL], cells[_SEGMENT])

    @tip.setter
    def tip(self, tip: Tip) -> None:
        cells = self._cells
        cells[_END], cells[_USER_RECORDS], cells[_ARRIVAL], cells[_SEGMENT] = tip

    @property
    def unclean(self) -> bool:
        """True while a frame is written or a segment begun; found so under the append lock, the writer died."""
        return self._cells[_UNCLEAN] != 0

    @unclean.setter
    def unclean(self, unclean: bool) -> None:
        self._cells[_UNCLEAN] = unclean

    @property
    def durable_end(self) -> int:
        """The offset up to which readers may read."""
        return self._cells[_DURABLE_END]

    @property
    def durable_user_records(self) -> int:
        """User records up to the durable end, or up to one just coming."""
        return self._cells[_DURABLE_USER_RECORDS]

    @property
    def durable_arrival_us(self) -> int:
        """Arrival time of the newest record before the durable end."""
        return self._cells[_DURABLE_ARRIVAL]

    def publish(self, tip: Tip) -> None:
        """Let readers read up to ``tip``, which is on disk; the end last, so that nobody lags by less than 0."""
        self._cells[_DURABLE_USER_RECORDS] = tip.user_records
        self._cells[_DURABLE_ARRIVAL] = tip.arrival_us
        self._cells[_DURABLE_END] = tip.end

    @property
    def sync_failed(self) -> bool:
        """True when bytes behind the durable end may be missing on disk although the system calls them written."""
        return self._cells[_SYNC_FAILED] != 0

    @sync_failed.setter
    def sync_failed(self, failed: bool) -> None:
        self._cells[_SYNC_FAILED] = failed

    def sync(self) -> None:
        """Return when the header is on disk."""
        self._map.flush()

    def close(self) -> None:
        """Unmap the file."""
        self._cells.release()
        self._map.close()
