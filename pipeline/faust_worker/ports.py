"""What a worker works with, chosen by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ports import Clock, Log, SnapshotStore, Stores


@dataclass(frozen=True, slots=True)
class WorkerPorts:
    """The ports of one worker, and a folder for what is on its way through them."""

    log: Log
    stores: Stores
    snapshots: SnapshotStore
    clock: Clock
    scratch: Path
    """On the stores' file system.  Nothing in it is needed after a crash."""
