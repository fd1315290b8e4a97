"""What a child of the daemon tells of its shard: a small file, written anew every second.

The daemon's children cannot be asked: they have no port, and their lines belong to the daemon.  So each writes a file
into the folder of its supervisor, which shows all of them on one page.  A file is replaced as a whole and removed in
the end; of a child that was killed it stays, so a file counts only while its process is there.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIX = ".json"
UNSAVED_SUFFIX = ".unsaved"


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """What one child says."""

    pid: int
    stage: str
    shard: str
    position: str | None
    """None before the shard's state was there, or while it is made anew."""
    lag_records: int
    lag_ms: float
    progressed_us: int
    """When the last batch was committed, or the shard taken over; before, when KCL gave the shard to this process."""
    restarts: int
    """Of the shard in its process, since it last made progress."""


def write(folder: Path, status: ShardStatus) -> None:
    """Replace the child's file."""
    replace(folder / f"{status.pid}{SUFFIX}", json.dumps(asdict(status)).encode())


def replace(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of a file that may be read at any moment."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


def remove(folder: Path, pid: int) -> None:
    """Remove the child's file, if there is one."""
    (folder / f"{pid}{SUFFIX}").unlink(missing_ok=True)


def note_unsaved(folder: Path, pid: int) -> None:
    """Note that the child ended without its shard's last snapshot."""
    (folder / f"{pid}{UNSAVED_SUFFIX}").touch()


def unsaved(folder: Path) -> set[str]:
    """Return the notes of all children that have ended so."""
    return {path.name for path in folder.glob(f"*{UNSAVED_SUFFIX}")}


def read_all(folder: Path) -> Sequence[ShardStatus]:
    """Return what the children that are there say, by shard."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            status = ShardStatus(**json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            continue
        if is_running(status.pid):
            found.append(status)
    return sorted(found, key=lambda status: (status.stage, status.shard))


def is_running(pid: int) -> bool:
    """Say whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
