"""The segment files of a shard of the embedded log, as one run of bytes.

A segment is named by the offset of the run at which it begins.  A frame never lies in two segments, and a segment is
begun only when everything before it is on disk: only the last one can end in a torn frame.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import TYPE_CHECKING

from pipeline.errors import LogError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".segment"
OPEN_FILES_MAX = 4
"""Segments that one reader keeps open: one at the tip, others for those who replay."""


def segment_path(folder: Path, first: int) -> Path:
    """Return the file of the segment that begins at offset ``first``."""
    return folder / f"{first:020d}{SUFFIX}"


def segments_in(folder: Path) -> list[int]:
    """Return where the segments of a shard begin, in order."""
    return sorted(int(path.stem) for path in folder.iterdir() if path.suffix == SUFFIX)


class SegmentReader:
    """Reads bytes of a shard by their offset."""

    __slots__ = ("_files", "_firsts", "_folder")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._firsts: list[int] = []
        self._files: dict[int, int] = {}

    def read(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset`` on; fewer at the end of a segment, none if nothing is there."""
        data = self._read_known(offset, count)
        if not data:  # another segment was begun since, or there is nothing yet
            self._firsts = segments_in(self._folder)
            data = self._read_known(offset, count)
        return data

    def place(self, offset: int) -> str:
        """Return the file and the byte in it where ``offset`` lies, to be named in an error."""
        known = bisect_right(self._firsts, offset)
        if not known:
            return f"{self._folder} at sequence number {offset}"
        first = self._firsts[known - 1]
        return f"{segment_path(self._folder, first)} at byte {offset - first}"

    def _read_known(self, offset: int, count: int) -> bytes:
        known = bisect_right(self._firsts, offset)
        if not known:
            return b""
        first = self._firsts[known - 1]
        try:
            return os.pread(self._file(first), count, offset - first)
        except FileNotFoundError:  # trimmed since
            return b""

    def _file(self, first: int) -> int:
        file = self._files.get(first)
        if file is None:
            if len(self._files) == OPEN_FILES_MAX:
                os.close(self._files.pop(next(iter(self._files))))
            file = os.open(segment_path(self._folder, first), os.O_RDONLY | os.O_CLOEXEC)
            self._files[first] = file
        return file

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()


class SegmentWriter:
    """Keeps the segment open that frames go to."""

    __slots__ = ("_file", "_first", "_folder")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first = -1
        self._file = -1

    def file(self, first: int) -> int:
        """Return the open file of the segment that begins at ``first``; the one before is closed."""
        if first != self._first:
            self.close()
            try:
                self._file = os.open(segment_path(self._folder, first), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise LogError(f"{segment_path(self._folder, first)} is missing; restore it from a copy") from error
            self._first = first
        return self._file

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = self._first = -1
