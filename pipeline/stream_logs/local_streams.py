"""The map of one stream of the embedded log, in a file, and how a split or a merge happens for all processes at once.

    stream lock ─ parents CLOSING ─ their last records on disk ─ children made ─ map replaced ─ parents CLOSED ─ unlock

No writer gets into a parent from the second step on: it meets the state, waits for the stream's lock and reads the map
again.  If the process that reshards dies, whoever comes next settles what it left: the map decides.  With the old map
the parents open again, with the new one they are closed, and their children are there.

A child's sequence numbers go on where those of its parents end, so they increase along every lineage.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from pipeline.errors import LogError
from pipeline.stream_logs.local_files import FileLock, make_folder, replace_file
from pipeline.stream_logs.local_header import Tip
from pipeline.stream_logs.local_shard import create_shard
from pipeline.stream_logs.shard_map import ShardMap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.stream_logs.local_writer import ShardWriter

_BEGINNING = Tip(0, 0, 0, 0)


class StreamFolder:
    """One stream: its map, its lock and the folders of its shards."""

    def __init__(self, stream: str, folder: Path) -> None:
        self.stream = stream
        self._folder = folder
        self._path = folder / "stream.json"
        self._seen = (0, 0, 0)
        self._map: ShardMap | None = None

    def shard_folder(self, shard_id: str) -> Path:
        """Return where the files of a shard are."""
        return self._folder / shard_id

    def latest_map(self) -> ShardMap:
        """Return the map as it is in the file now."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            raise LogError(f"there is no stream {self.stream!r} in {self._folder.parent}: create it first") from None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._map is None or seen != self._seen:
            self._map, self._seen = self._load(), seen
        return self._map

    def known_map(self) -> ShardMap:
        """Return the map as it was last seen: who puts by it meets closed shards, and then looks again."""
        return self._map or self.latest_map()

    def create(self, shards: int) -> None:
        """Make the stream, unless it is there."""
        make_folder(self._folder)
        with self._locked() as lock, lock:
            if self._path.exists():
                return
            shard_map = ShardMap.create(self.stream, shards)
            self._begin(shard_map, _BEGINNING, known=0)
            replace_file(self._path, shard_map.to_json().encode())

    def reshard(self, change: Callable[[ShardMap], ShardMap], writer: Callable[[str], ShardWriter]) -> None:
        """Replace the map by what ``change`` makes of it."""
        with self._locked() as lock, lock:
            before = self._settle(writer)
            after = change(before)
            parents = [
                shard.shard_id for shard in before.shards if after.get(shard.shard_id).closed and not shard.closed
            ]
            with ExitStack() as stack:
                tips = [stack.enter_context(writer(parent).closing()) for parent in parents]
                born = max(tip.end for tip in tips)
                tip = Tip(born, 0, max(tip.arrival_us for tip in tips), born)
                self._begin(after, tip, known=len(before.shards))
                replace_file(self._path, after.to_json().encode())

    def settle(self, writer: Callable[[str], ShardWriter]) -> None:
        """Wait for whoever is resharding; finish or undo what one who died has left."""
        with self._locked() as lock, lock:
            self._settle(writer)

    def _settle(self, writer: Callable[[str], ShardWriter]) -> ShardMap:
        shard_map = self.latest_map()
        for shard in shard_map.shards:
            writer(shard.shard_id).settle(closed=shard.closed)
        return shard_map

    def _begin(self, shard_map: ShardMap, tip: Tip, known: int) -> None:
        for shard in shard_map.shards[known:]:
            folder = self.shard_folder(shard.shard_id)
            if folder.exists():  # left by one who died before the map named it
                shutil.rmtree(folder)
            create_shard(folder, tip)

    def _load(self) -> ShardMap:
        try:
            return ShardMap.from_json(self._path.read_text())
        except (ValueError, KeyError, TypeError) as error:
            raise LogError(f"{self._path} is damaged: {error}; restore it from a copy") from error

    def _locked(self) -> closing[FileLock]:
        return closing(FileLock(self._folder / "stream.lock"))
