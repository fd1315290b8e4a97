"""What the embedded log asks of a file system: locks between processes, bytes on the disk, files replaced whole.

A file that was made or renamed is on disk only when its folder was synced too, and that is easily forgotten: every
function here that changes a folder syncs it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PIECES_MAX = 1_000
"""Buffers handed to the system in one write: Linux and macOS take 1,024."""


class FileLock:
    """Keeps out all other threads and processes that lock the same file.

    ``flock`` does not keep threads apart that share the open file, so a thread lock comes first.  The system releases
    the lock of a process that dies.
    """

    __slots__ = ("_file", "_threads")

    def __init__(self, path: Path) -> None:
        self._threads = Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        """Release the file; nobody may hold the lock."""
        os.close(self._file)


def sync_data(file: int) -> None:
    """Return when what was written to ``file`` is on disk; raise ``OSError`` if that is not sure."""
    if sys.platform == "darwin":
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)  # fsync leaves the bytes in the disk's cache there
    else:
        os.fdatasync(file)


def sync_folder(folder: Path) -> None:
    """Return when the names in ``folder`` are on disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it that are missing, so that they stay."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file, or one that nobody reads yet, and sync it and its folder."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Give ``path`` a new content at once: whoever opens it sees the old one or the new one, also after a crash.

    Only one at a time may do this to a path.
    """
    new = path.with_name(path.name + ".new")
    write_file(new, content)
    new.replace(path)
    sync_folder(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Create ``path`` with all its content at once; return False, and change nothing, if it is there."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    write_file(new, content)
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    finally:
        new.unlink()
        sync_folder(path.parent)
    return True


def write_at(file: int, pieces: Sequence[bytes], offset: int) -> None:
    """Write all ``pieces`` one behind the other, beginning at ``offset`` of the file."""
    left = list(pieces)
    while left:
        written = os.pwritev(file, left[:PIECES_MAX], offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file for a moment."""
    file = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield file
    finally:
        os.close(file)
