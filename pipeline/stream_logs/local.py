"""The embedded log: durable streams with Kinesis semantics in a folder, for any number of processes of one machine.

    FOLDER/log.json                                     format and incarnation
    FOLDER/streams/NAME/stream.json                     the stream's shards: replaced whole at a split or merge
    FOLDER/streams/NAME/SHARD/header                    how far the shard has come, mapped by all who have it open
    FOLDER/streams/NAME/SHARD/OFFSET.segment            the records

What each file does is told where it is handled: ``frame`` (a record's bytes; its sequence number is an offset),
``local_segments``, ``local_header``, ``local_writer`` (append and sync), ``local_recovery`` (after a crash),
``local_streams`` (split and merge), ``local_queue`` (many puts, one sync).

A record that ``Landed`` is on disk.  One that is ``Refused`` found the disk full and was not stored.  Every other
failure to write raises ``LogError``: the process ends, and the next one to open the shard recovers it.

Reading happens in the event loop: what a reader at the tip reads is in the page cache.  Writing happens in a thread,
one at a time, and syncs of a slow disk in several.
"""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from pipeline.errors import LogError
from pipeline.ports import Landed, Refused
from pipeline.stream_logs.frame import check_record
from pipeline.stream_logs.local_files import create_file, make_folder
from pipeline.stream_logs.local_queue import PutQueue
from pipeline.stream_logs.local_shard import LocalShard
from pipeline.stream_logs.local_streams import StreamFolder
from pipeline.stream_logs.local_writer import DiskFullError, ShardClosedError
from pipeline.stream_logs.shard_map import RETENTION_US_DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipeline.ports import Clock, Entry, ShardDescription, Slice
    from pipeline.stream_logs.local_writer import ShardWriter
    from pipeline.stream_logs.shard_map import ShardMap

FORMAT = 1
SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024
THREADS_MAX = 16
"""Shards that one process syncs at the same time where the disk is slow; more wait for a thread."""

_STREAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class LocalLog:
    """The log in ``folder``, made there if it is missing; see ``ports.Log`` for what each method promises.

    A shard's segment is full, and the next record begins another, when it has ``segment_bytes``.  Whoever begins one
    removes those that hold only records older than ``retention_us``.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        segment_bytes: int = SEGMENT_BYTES_DEFAULT,
        retention_us: int = RETENTION_US_DEFAULT,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._retention_us = retention_us
        self._segments_seen: dict[tuple[str, str], int] = {}
        self._incarnation = _incarnation(folder)
        self._streams: dict[str, StreamFolder] = {}
        self._shards: dict[tuple[str, str], LocalShard] = {}
        self._opening = Lock()
        self._executor = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="log")
        self._queue = PutQueue(self._executor)

    @property
    def incarnation(self) -> str:
        """A name that no other log has had, given when the folder was made a log."""
        return self._incarnation

    async def incarnation_of(self, stream: str) -> str:
        """Return the log's: its streams are deleted with it, or not at all."""
        return self._incarnation

    async def retention_us(self, stream: str) -> int:
        """Return how long records are kept; by whole segments, so some are for longer."""
        return self._retention_us

    async def create_stream(self, stream: str, shards: int) -> None:
        """Create ``stream``, unless it is there."""
        await asyncio.to_thread(self._stream(stream).create, shards)

    async def shards(self, stream: str) -> Sequence[ShardDescription]:
        """Return all shards, parents before their children."""
        return self._stream(stream).latest_map().shards

    async def split(self, stream: str, shard_id: str, at: int) -> None:
        """Close a shard and open two."""
        await asyncio.to_thread(
            self._stream(stream).reshard, lambda before: before.split(shard_id, at), self._writers(stream)
        )

    async def merge(self, stream: str, shard_id: str, adjacent_shard_id: str) -> None:
        """Close two adjacent shards and open one."""
        await asyncio.to_thread(
            self._stream(stream).reshard,
            lambda before: before.merge(shard_id, adjacent_shard_id),
            self._writers(stream),
        )

    async def put_records(self, stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        """Store the entries; those of one shard stay in their order."""
        for entry in entries:
            check_record(entry.user_records)
        results: dict[int, Landed | Refused] = {}
        await self._put_by(self._stream(stream).known_map(), entries, results)
        while len(results) < len(entries):  # a shard was closed meanwhile: who owns its hashes now?
            await self._settle(stream)
            await self._put_by(self._stream(stream).latest_map(), entries, results)
        return [results[place] for place in range(len(entries))]

    async def read(self, stream: str, shard_id: str, after: int, limit: int) -> Slice:
        """Return the records behind ``after``."""
        shard = self._shards.get((stream, shard_id)) or self._shard(stream, shard_id)
        given = shard.read(after, limit)
        if given.records or given.ended or not shard.unsettled:
            return given
        await self._settle(stream)
        return shard.read(after, limit)

    async def trim_horizon(self, stream: str, shard_id: str) -> int:
        """Return the sequence number before the oldest record kept."""
        return self._shard(stream, shard_id).horizon

    async def latest(self, stream: str, shard_id: str) -> int:
        """Return the sequence number of the newest durable record."""
        return self._shard(stream, shard_id).latest

    async def at_time(self, stream: str, shard_id: str, arrival_us: int) -> int:
        """Return the sequence number before the first record that arrived at or after ``arrival_us``."""
        return await asyncio.to_thread(self._shard(stream, shard_id).at_time, arrival_us)

    async def trim(self, stream: str, shard_id: str, before_us: int) -> int:
        """Remove whole segments of records that arrived before ``before_us``; return the new trim horizon."""
        return await asyncio.to_thread(self._shard(stream, shard_id).trim, before_us)

    def close(self) -> None:
        """Finish what is being written and close all files; a closed log must not be used."""
        self._executor.shutdown()
        for shard in self._shards.values():
            shard.close()
        self._shards.clear()

    async def _put_by(
        self, shard_map: ShardMap, entries: Sequence[Entry], results: dict[int, Landed | Refused]
    ) -> None:
        """Put the entries without a result into their shards; those of a shard that is closed stay without."""
        groups: dict[str, list[int]] = {}
        for place, entry in enumerate(entries):
            if place not in results:
                groups.setdefault(shard_map.owner(entry.explicit_hash), []).append(place)
        puts = []
        for shard_id, places in groups.items():
            writer = self._shard(shard_map.stream, shard_id).writer
            puts.append(self._queue.put(writer, [entries[place].user_records for place in places]))
        stored = await asyncio.gather(*puts, return_exceptions=True)
        for (shard_id, places), sequences in zip(groups.items(), stored, strict=True):
            if isinstance(sequences, ShardClosedError):
                continue
            if isinstance(sequences, DiskFullError):
                results.update(dict.fromkeys(places, Refused(str(sequences))))
                continue
            if isinstance(sequences, BaseException):
                raise sequences
            for place, sequence in zip(places, sequences, strict=True):
                results[place] = Landed(shard_id, sequence)
            await self._retire(shard_map.stream, shard_id)

    async def _retire(self, stream: str, shard_id: str) -> None:
        """Remove what is older than the retention, if the shard has begun a segment since we last looked."""
        key = stream, shard_id
        segment = self._shard(stream, shard_id).segment
        if self._segments_seen.setdefault(key, segment) != segment:
            self._segments_seen[key] = segment
            await self.trim(stream, shard_id, self._clock.now_us() - self._retention_us)

    async def _settle(self, stream: str) -> None:
        await asyncio.to_thread(self._stream(stream).settle, self._writers(stream))

    def _stream(self, stream: str) -> StreamFolder:
        folder = self._streams.get(stream)
        if folder is None:
            if not _STREAM_NAME.fullmatch(stream):
                raise LogError(f"{stream!r} cannot name a stream: letters, digits, '_', '.' and '-', 128 at most")
            folder = self._streams[stream] = StreamFolder(stream, self._folder / "streams" / stream)
        return folder

    def _shard(self, stream: str, shard_id: str) -> LocalShard:
        key = stream, shard_id
        with self._opening:  # a thread that reshards opens shards too
            shard = self._shards.get(key)
            if shard is None:
                folder = self._stream(stream)
                folder.latest_map().get(shard_id)
                shard = LocalShard(stream, folder.shard_folder(shard_id), self._clock, self._segment_bytes)
                self._shards[key] = shard
        return shard

    def _writers(self, stream: str) -> Callable[[str], ShardWriter]:
        return lambda shard_id: self._shard(stream, shard_id).writer


def _incarnation(folder: Path) -> str:
    """Return the name of the log in ``folder``, which becomes one if it is none."""
    path = folder / "log.json"
    if not path.exists():
        make_folder(folder)
        named = {"format": FORMAT, "incarnation": uuid4().hex}
        create_file(path, json.dumps(named).encode() + b"\n")  # or another process was quicker: its name holds
    try:
        stored = json.loads(path.read_text())
        if stored["format"] == FORMAT:
            return str(stored["incarnation"])
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(f"{path} is damaged: {error}; restore it from a copy") from error
    raise LogError(f"{path} has format {stored['format']}; this build knows {FORMAT}")
