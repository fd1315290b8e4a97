"""One shard of the embedded log as one process has it open: its header, its reader and, where it may write, its writer.

Reading takes no lock and, at the tip, no system call.  Damage before the durable end is never passed over.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import BeyondEndError, LogError, TrimmedRangeError
from pipeline.ports import Slice
from pipeline.stream_logs.frame import HEAD_BYTES, DamagedFrameError, FrameHead, Parsed, decode_head, parse_frames
from pipeline.stream_logs.local_files import make_folder, sync_folder, write_file
from pipeline.stream_logs.local_header import CLOSED, CLOSING, ShardHeader, Tip, create_header
from pipeline.stream_logs.local_segments import SegmentReader, segment_path, segments_in
from pipeline.stream_logs.local_writer import ShardWriter

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ports import Clock

READ_BYTES = 256 * 1024
"""Bytes asked of the system at once; a larger frame is read by itself."""

_AT_TIP = Slice((), ended=False, behind_records=0, behind_us=0)
_AT_END = Slice((), ended=True, behind_records=0, behind_us=0)


def create_shard(folder: Path, tip: Tip) -> None:
    """Make the files of a new shard, whose first frame will begin at ``tip.end``."""
    make_folder(folder)
    create_header(folder / "header", tip)
    write_file(segment_path(folder, tip.end), b"")


class LocalShard:
    """One open shard."""

    def __init__(self, stream: str, folder: Path, clock: Clock, segment_bytes: int) -> None:
        self._stream = stream
        self._shard_id = folder.name
        self._folder = folder
        self._header = ShardHeader(folder / "header")
        self._segments = SegmentReader(folder)
        self._writer = ShardWriter(folder, self._header, clock, segment_bytes) if self._header.writable else None
        if self._writer:
            try:
                self._writer.open()
            except BaseException:
                self.close()
                raise

    @property
    def writer(self) -> ShardWriter:
        """The writing end."""
        if self._writer is None:
            raise LogError(f"{self._folder} may only be read by this process")
        return self._writer

    def read(self, after: int, limit: int) -> Slice:
        """Return the records behind ``after``; see ``ports.Log.read``."""
        header = self._header
        closed = header.state == CLOSED  # looked at first: what is closed has its last end
        end = header.durable_end
        offset = after if after == end else self._check_position(after, end)
        if offset == end:
            return _AT_END if closed else _AT_TIP
        parsed = self._frames(offset, end, limit)
        records, count = parsed.records, parsed.user_records
        while count < limit and records[-1].sequence < end:
            parsed = self._frames(records[-1].sequence, end, limit - count)
            records += parsed.records
            count += parsed.user_records
        newest = records[-1]
        return Slice(
            records,
            ended=closed and newest.sequence == end,
            behind_records=header.durable_user_records - parsed.through,
            behind_us=header.durable_arrival_us - newest.arrival_us,
        )

    @property
    def horizon(self) -> int:
        """The sequence number after which the oldest record kept is read."""
        return self._header.horizon

    @property
    def segment(self) -> int:
        """Where the segment begins that is being written."""
        return self._header.tip.segment

    @property
    def latest(self) -> int:
        """The sequence number of the newest durable record."""
        return self._header.durable_end

    @property
    def unsettled(self) -> bool:
        """True while the shard is being split or merged, and when who did that died."""
        return self._header.state == CLOSING and self._writer is not None

    def at_time(self, arrival_us: int) -> int:
        """Return the sequence number after which the first record from ``arrival_us`` on is read.

        Hops from frame to frame, inside one segment; safe in a thread of its own.
        """
        end = self._header.durable_end
        with closing(SegmentReader(self._folder)) as segments:
            firsts = [first for first in segments_in(self._folder) if self.horizon <= first < end]
            later = bisect_left(firsts, arrival_us, key=lambda first: self._head(segments, first).arrival_us)
            offset = firsts[later - 1] if later else self.horizon
            while offset < end:
                head = self._head(segments, offset)
                if head.arrival_us >= arrival_us:
                    break
                offset = head.sequence
        return offset

    def trim(self, before_us: int) -> int:
        """Remove the segments whose records all arrived before ``before_us``; return the new horizon.

        A segment is known by the first record of the next one to be old, so that one more than needed may stay.
        """
        header = self._header
        if header.durable_arrival_us < before_us:
            self.writer.begin_segment()  # all is old: keep an empty segment
        firsts = segments_in(self._folder)
        with closing(SegmentReader(self._folder)) as segments:
            for first in firsts[1:]:
                empty = first == header.durable_end
                arrival_us = header.durable_arrival_us if empty else self._head(segments, first).arrival_us
                if arrival_us >= before_us:
                    break
                self.writer.move_horizon(first)
        for first in firsts:
            if first < header.horizon:
                segment_path(self._folder, first).unlink(missing_ok=True)
        sync_folder(self._folder)
        return header.horizon

    def close(self) -> None:
        """Close the files; nobody may be using the shard."""
        if self._writer:
            self._header.sync()  # so that the next to open it after a loss of power has less to recover
            self._writer.close()
        self._segments.close()
        self._header.close()

    def _check_position(self, after: int, end: int) -> int:
        """Return where the records behind ``after`` begin."""
        if after > end:
            raise BeyondEndError(self._stream, self._shard_id, after, end)
        horizon = self._header.horizon
        if after >= horizon:
            return after
        if horizon > self._header.born:
            raise TrimmedRangeError(self._stream, self._shard_id, after, horizon)
        return horizon  # nothing was trimmed: the shard's sequence numbers begin above its parents'

    def _frames(self, offset: int, end: int, limit: int) -> Parsed:
        """Return at least one frame from ``offset`` on; all up to ``end`` was on disk once."""
        try:
            parsed = parse_frames(self._segments.read(offset, min(end - offset, READ_BYTES)), offset, limit)
            if not parsed.records:
                length = self._head(self._segments, offset).length
                parsed = parse_frames(self._segments.read(offset, min(end - offset, length)), offset, limit)
            if not parsed.records:
                self._fail(offset, "it ends inside a frame")
        except DamagedFrameError as error:
            self._fail(error.offset, error.reason)
        return parsed

    def _head(self, segments: SegmentReader, offset: int) -> FrameHead:
        data = segments.read(offset, HEAD_BYTES)
        if len(data) < HEAD_BYTES:
            self._fail(offset, "it ends there")
        try:
            return decode_head(data, offset)
        except DamagedFrameError as error:
            self._fail(error.offset, error.reason)

    def _fail(self, offset: int, reason: str) -> NoReturn:
        if offset < self._header.horizon:
            raise TrimmedRangeError(self._stream, self._shard_id, offset, self._header.horizon)
        raise LogError(
            f"{self._segments.place(offset)} is damaged: {reason}; restore it from a copy "
            f"(or {offset} is not the sequence number of a record of {self._stream}/{self._shard_id})"
        )
