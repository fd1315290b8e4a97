"""Appends to a shard of the embedded log, beside other processes that do the same.

    append lock ── encode, write behind the last frame, move the end ──┐
    sync lock   ── is my record behind the durable end still? ── fdatasync ── move the durable end ── landed

The two locks are apart so that others append while one waits for the disk; whoever syncs next syncs for all of them.
The sync lock is taken first where both are needed.  Readers take none: they look at the durable end.

Three things must never happen.  A record is not told to have landed before it is on disk.  A sync that failed is not
tried again as if nothing had happened: the shard is marked, every writer stops, and the next one to open it recovers.
And nothing is appended to a shard that was split or merged: its state is looked at under the append lock, each time.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import LogError
from pipeline.stream_logs.frame import encode_frame
from pipeline.stream_logs.local_files import FileLock, opened, sync_data, sync_folder, write_at
from pipeline.stream_logs.local_header import CLOSED, CLOSING, OPEN, ShardHeader, Tip
from pipeline.stream_logs.local_recovery import needs_recovery, recover
from pipeline.stream_logs.local_segments import SegmentWriter, segment_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.ports import Clock

_FULL = (errno.ENOSPC, errno.EDQUOT)


class ShardClosedError(Exception):
    """The shard takes no more records, or not now: its stream's map says who does."""


class DiskFullError(Exception):
    """Nothing was stored, because there is no room."""


class ShardWriter:
    """The writing end of one shard, for all threads of one process."""

    def __init__(self, folder: Path, header: ShardHeader, clock: Clock, segment_bytes: int) -> None:
        self._folder = folder
        self._header = header
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._segment = SegmentWriter(folder)
        self._append_lock = FileLock(folder / "append.lock")
        self._sync_lock = FileLock(folder / "sync.lock")

    def open(self) -> None:
        """Recover what a writer that died has left."""
        if needs_recovery(self._folder, self._header):
            with self._sync_lock, self._append_lock:
                recover(self._folder, self._header)

    def append(self, batch: Sequence[Sequence[bytes]]) -> list[int]:
        """Write a record of each member of ``batch``; return their sequence numbers, which ``sync`` makes durable.

        Raises ``ShardClosedError`` or ``DiskFullError`` if none was stored, and ``LogError`` if nobody knows.
        """
        header = self._header
        try:
            while True:
                with self._append_lock:
                    self._check_sync()
                    if header.state != OPEN:
                        raise ShardClosedError
                    tip = header.tip
                    if not header.unclean and tip.end - tip.segment < self._segment_bytes:
                        return self._write(batch, tip)
                self._prepare()
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFullError(f"{self._folder}: {error.strerror}") from error
            raise self._unwritable(error) from error

    def _write(self, batch: Sequence[Sequence[bytes]], tip: Tip) -> list[int]:
        """Write the frames of ``batch`` behind ``tip``; the append lock is held."""
        end, user_records, arrival_us, segment = tip
        arrival_us = max(arrival_us, self._clock.now_us())
        pieces: list[bytes] = []
        sequences: list[int] = []
        for members in batch:
            frame = encode_frame(end, arrival_us, user_records, members)
            pieces += frame
            end += sum(map(len, frame))
            user_records += len(members)
            sequences.append(end)
        file = self._segment.file(segment)
        self._header.unclean = True  # from here on a reader of the file may meet half a frame: recovery cuts it
        try:
            write_at(file, pieces, tip.end - segment)
        except OSError:
            os.ftruncate(file, tip.end - segment)
            self._header.unclean = False
            raise
        self._header.tip = Tip(end, user_records, arrival_us, segment)
        self._header.unclean = False
        return sequences

    def _prepare(self) -> None:
        """Recover from a writer that died just now, or begin the next segment."""
        header = self._header
        with self._sync_lock, self._append_lock:
            tip = self._durable_tip()
            if header.state == OPEN and tip.end - tip.segment >= self._segment_bytes:
                self._begin_segment(tip)

    def begin_segment(self) -> None:
        """Let the next frame, if there is to be one, begin a new segment."""
        with self._sync_lock, self._append_lock:
            tip = self._durable_tip()
            if tip.end > tip.segment:
                self._begin_segment(tip)

    def _begin_segment(self, tip: Tip) -> None:
        self._header.unclean = True  # a new file that the header does not name must not be left beside a growing one
        with opened(segment_path(self._folder, tip.end), os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            sync_folder(self._folder)
        self._header.tip = tip._replace(segment=tip.end)
        self._header.unclean = False
        self._header.sync()

    def sync(self, through: int) -> None:
        """Return when everything up to ``through`` is on disk; raise ``LogError`` if nobody knows."""
        header = self._header
        try:
            with self._sync_lock:
                if header.durable_end >= through:
                    return
                with self._append_lock:
                    if header.unclean:
                        recover(self._folder, header)
                        return
                    tip = header.tip
                self._make_durable(tip)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> LogError:
        return LogError(f"{self._folder} cannot be written: {error}; mend the disk and start again")

    def _durable_tip(self) -> Tip:
        """Make everything durable and return the tip; both locks are held."""
        if self._header.unclean:
            recover(self._folder, self._header)
        tip = self._header.tip
        self._make_durable(tip)
        return tip

    def _make_durable(self, tip: Tip) -> None:
        """Sync up to ``tip``: all of it that is not on disk is in the last segment.  The sync lock is held."""
        self._check_sync()
        try:
            sync_data(self._segment.file(tip.segment))
        except OSError as error:
            self._header.sync_failed = True
            raise LogError(f"{self._folder} cannot be synced: {error}; mend the disk and start again") from error
        self._header.publish(tip)

    def _check_sync(self) -> None:
        if self._header.sync_failed:
            raise LogError(f"{self._folder} could not be synced; mend the disk and start again: opening it recovers")

    @contextmanager
    def closing(self) -> Iterator[Tip]:
        """Keep all writers out, for ever if the block is left in peace; give the last tip, durable.

        If the process dies inside the block the shard stays ``CLOSING`` until its stream settles it.
        """
        with self._sync_lock, self._append_lock:
            tip = self._durable_tip()
            self._header.change_state(CLOSING)
            yield tip
            self._header.change_state(CLOSED)

    def settle(self, *, closed: bool) -> None:
        """Finish or undo a split or merge whose process died; ``closed`` is what the stream's map says.

        The caller holds the stream's lock.
        """
        state = self._header.state
        if state == CLOSING:
            self._header.change_state(CLOSED if closed else OPEN)
        elif (state == CLOSED) != closed:
            raise LogError(f"{self._folder} and the map of its stream do not agree on whether it is closed")

    def move_horizon(self, horizon: int) -> None:
        """Say, durably, that nothing before ``horizon`` is kept."""
        with self._sync_lock:
            self._header.move_horizon(max(horizon, self._header.horizon))

    def close(self) -> None:
        """Close the files; nobody may be writing."""
        self._segment.close()
        self._append_lock.close()
        self._sync_lock.close()
