"""What becomes of a shard of the embedded log whose writer died, or whose machine lost power.

Behind the durable end there may be whole frames, a torn one, and bytes of frames that were never finished.  Whole
frames are kept, whether or not somebody was told that they landed: nobody was told that they did not.  The rest is cut
off.  What is kept is written once more before it is synced: after a failed sync the system may take pages for clean
that never reached the disk, and only writing makes them dirty again.

A frame *before* the durable end, or before a later segment, was on disk once.  If it is not whole now the disk or
somebody has damaged it: that is an error that names the file, and nothing is cut.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pipeline.errors import LogError
from pipeline.stream_logs.frame import FRAME_BYTES_MAX, DamagedFrameError, Parsed, parse_frames
from pipeline.stream_logs.local_files import opened, sync_data, sync_folder, write_at
from pipeline.stream_logs.local_header import ShardHeader, Tip
from pipeline.stream_logs.local_segments import segment_path, segments_in

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = 4 * FRAME_BYTES_MAX


def needs_recovery(folder: Path, header: ShardHeader) -> bool:
    """Say whether the shard has anything but durable frames; seen without a lock, it may be a writer at work."""
    last = _segments(folder)[-1]
    written = last + segment_path(folder, last).stat().st_size
    tip, durable_end = header.tip, header.durable_end
    settled = tip.end == written == durable_end and tip.segment == last
    return header.unclean or header.sync_failed or not settled


def recover(folder: Path, header: ShardHeader) -> None:
    """Keep the whole frames, cut off the rest, and make all that is left durable.

    The caller holds the sync lock and the append lock of the shard.
    """
    durable_end = header.durable_end
    segments = _segments(folder)
    if segments[0] > durable_end:
        raise LogError(f"{segment_path(folder, durable_end)}, or one before it, is missing; restore it from a copy")
    at = max(i for i, first in enumerate(segments) if first <= durable_end)
    tip = Tip(durable_end, header.durable_user_records, header.durable_arrival_us, segments[at])
    for first, following in zip(segments[at:], [*segments[at + 1 :], None], strict=True):
        tip = _recover_segment(segment_path(folder, first), tip._replace(segment=first), following)
    sync_folder(folder)
    header.tip = tip
    header.publish(tip)
    header.unclean = False
    header.sync_failed = False
    header.move_horizon(max(header.horizon, segments[0]))


def _segments(folder: Path) -> list[int]:
    segments = segments_in(folder)
    if not segments:
        raise LogError(f"{folder} has no segment left; restore it from a copy")
    return segments


def _recover_segment(path: Path, tip: Tip, following: int | None) -> Tip:
    """Return the tip behind the whole frames of one segment, which begins at ``tip.segment``."""
    first, start = tip.segment, tip.end
    with opened(path, os.O_RDWR) as file:
        if first + os.fstat(file).st_size < start:
            raise LogError(f"{path} is damaged: it ends before byte {start - first}, which was on disk; restore it")
        while True:
            data = os.pread(file, CHUNK_BYTES, tip.end - first)
            whole = _whole_frames(data, tip.end)
            if not whole.records:
                break
            newest = whole.records[-1]
            write_at(file, [data[: newest.sequence - tip.end]], tip.end - first)
            tip = Tip(newest.sequence, whole.through, newest.arrival_us, first)
        if following is not None and tip.end != following:
            raise LogError(f"{path} is damaged at byte {tip.end - first}, which was on disk; restore it from a copy")
        os.ftruncate(file, tip.end - first)
        sync_data(file)
    return tip


def _whole_frames(data: bytes, offset: int) -> Parsed:
    try:
        return parse_frames(data, offset, sys.maxsize)
    except DamagedFrameError as error:
        return parse_frames(data[: error.offset - offset], offset, sys.maxsize)
