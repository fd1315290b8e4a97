"""Files that survive a crash: what a file system needs to be told before it keeps a promise."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def check_name(name: str) -> str:
    """Return ``name`` if it can be a folder's name as it is; names that begin with a dot are our own."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a name for a folder: {name!r}")
    return name


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable: files created, renamed and removed in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
