"""Which snapshot a shard starts from: the newest that is whole.

A snapshot that is damaged is passed over, loudly, for the one before it: the log has the rest, so an older snapshot
only costs re-reading.  A snapshot of another log is not passed over: it says that this worker looks at the wrong folder
or at the wrong log, and sequence numbers of two logs must never meet.
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from pipeline.errors import SnapshotError
from pipeline.state.manifests import describe

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ports import Manifest, SnapshotStore

_log = logging.getLogger(__name__)


async def fetch_newest(
    snapshots: SnapshotStore, stage: str, shard_id: str, source: str, folder: Path
) -> Manifest | None:
    """Fetch the newest snapshot that is whole into ``folder`` and return its manifest; None if there is none.

    What an interrupted call left in ``folder`` is removed.  Raises ``SnapshotError`` if any snapshot of the shard is
    of another source than ``source``.
    """
    manifests = await snapshots.manifests(stage, shard_id)
    for manifest in manifests:
        if manifest.source != source:
            raise SnapshotError(
                f"snapshot {describe(manifest)} is of {manifest.source}, but this worker reads {source}"
            )
    for manifest in manifests:
        _clear(folder)
        try:
            await snapshots.fetch(manifest, folder)
        except SnapshotError as error:
            _log.error("snapshot passed over for the one before it: %s", error)
            continue
        return manifest
    return None


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
