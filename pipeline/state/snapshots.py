"""Snapshots where another machine can find them: a folder, or memory.

Below the folder::

    files/<SHA-256>                        every file of every snapshot, once, named by its content
    manifests/<stage>/<shard>/<place>.json what each snapshot is (``manifests.py``)
    lock                                   held shared by who publishes or fetches, alone by who removes files

A manifest is created by a hard link, which fails if the name exists.  Files are copied and not linked: what damages a
live database must not damage its snapshots.  A file that no manifest names is removed under the lock, alone, so never
between a publisher's copy and its manifest.
"""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import file_digest, sha256
from typing import TYPE_CHECKING

from pipeline.errors import SnapshotError
from pipeline.state.blocking_snapshots import BlockingSnapshots, ShardPlace
from pipeline.state.durable import check_name, sync_folder
from pipeline.state.manifests import Place, check_same_state, describe, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.ports import Manifest

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 20


class FolderSnapshots(BlockingSnapshots):
    """A ``SnapshotStore`` in a folder, for any number of processes at once."""

    def __init__(self, folder: Path, kept: int = 3) -> None:
        super().__init__(kept)
        self._files = folder / "files"
        self._manifests = folder / "manifests"
        self._lock = folder / "lock"
        self._files.mkdir(parents=True, exist_ok=True)
        self._manifests.mkdir(exist_ok=True)

    def _store_file(self, source: Path, digest: str) -> None:
        target = self._files / digest
        if target.exists() and target.stat().st_size == source.stat().st_size:
            return
        written = _temporary(target)
        try:
            if _copy(source, written) != digest:
                raise SnapshotError(f"{source} changed while its snapshot was published: it is not {digest} any more")
            written.replace(target)
        finally:
            written.unlink(missing_ok=True)

    def _create_manifest(self, manifest: Manifest) -> bool:
        sync_folder(self._files)
        path = self._path(ShardPlace.of(manifest))
        path.parent.mkdir(parents=True, exist_ok=True)
        written = _temporary(path)
        try:
            _write(written, encode(manifest))
            os.link(written, path)
        except FileExistsError:
            return False
        finally:
            written.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent, self._manifests):
            sync_folder(folder)
        return True

    def _places(self, stage: str, shard_id: str) -> list[Place]:
        folder = self._manifests / check_name(stage) / check_name(shard_id)
        return Place.named(path.name for path in folder.iterdir()) if folder.exists() else []

    def _all_places(self) -> Iterator[ShardPlace]:
        for folder in sorted(self._manifests.glob("*/*")):
            stage, shard_id = folder.parent.name, folder.name
            for place in self._places(stage, shard_id):
                yield ShardPlace(stage, shard_id, place)

    def _read(self, at: ShardPlace) -> bytes:
        return self._path(at).read_bytes()

    def _fetch_file(self, digest: str, target: Path) -> str:
        return _copy(self._files / digest, target)

    def _is_whole(self, digest: str) -> bool:
        try:
            with (self._files / digest).open("rb") as file:
                return file_digest(file, "sha256").hexdigest() == digest
        except FileNotFoundError:
            return False

    def _hide(self, at: ShardPlace) -> None:
        path = self._path(at)
        with suppress(FileNotFoundError):
            path.replace(path.with_suffix(".damaged"))

    def _remove_manifests(self, stage: str, shard_id: str, places: Sequence[Place]) -> None:
        for place in places:
            self._path(ShardPlace(stage, shard_id, place)).unlink(missing_ok=True)

    def _remove_unnamed_files(self) -> None:
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                super()._remove_unnamed_files()
        except BlockingIOError:
            _log.info("files of retired snapshots stay for now: a snapshot is being published or fetched")

    def _remove_files(self, digests: Sequence[str]) -> None:
        for digest in digests:
            (self._files / digest).unlink(missing_ok=True)

    def _remove_files_but(self, named: set[str]) -> None:
        for path in sorted(self._files.iterdir()):
            if path.name not in named:
                path.unlink()

    def _path(self, at: ShardPlace) -> Path:
        return self._manifests / check_name(at.stage) / check_name(at.shard_id) / at.place.name

    def _while_files_stay(self) -> AbstractContextManager[None]:
        return self._locked(fcntl.LOCK_SH)

    def _while_alone(self) -> AbstractContextManager[None]:
        return self._locked(fcntl.LOCK_EX)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with self._lock.open("ab") as file:
            fcntl.flock(file, how)
            yield


class MemorySnapshots:
    """A ``SnapshotStore`` in memory, without threads: for tests and for the simulator."""

    def __init__(self, kept: int = 3) -> None:
        self._kept = kept
        self._manifests: dict[tuple[str, str, Place], Manifest] = {}
        self.files: dict[str, bytes] = {}
        """Content by SHA-256 in hex.  A simulator damages and loses files here."""

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        """Take in the files of ``folder``, then the manifest if there is none at its place."""
        for name, digest in manifest.files.items():
            if digest not in self.files:
                self.files[digest] = (folder / name).read_bytes()
        key = (manifest.stage, manifest.shard_id, Place.of(manifest))
        check_same_state(self._manifests.setdefault(key, manifest), manifest)

    async def manifests(self, stage: str, shard_id: str) -> Sequence[Manifest]:
        """Return the shard's snapshots, the newest first."""
        places = sorted((key[2] for key in self._manifests if key[:2] == (stage, shard_id)), reverse=True)
        return [self._manifests[stage, shard_id, place] for place in places]

    async def fetch(self, manifest: Manifest, folder: Path) -> None:
        """Write the snapshot's files into ``folder``, which must not exist, and verify each."""
        for name, digest in manifest.files.items():
            if not self.is_whole(digest):
                raise SnapshotError(f"snapshot {describe(manifest)}: file {name} is missing or damaged")
        _write_files(folder, {name: self.files[digest] for name, digest in manifest.files.items()})

    async def set_aside(self, manifest: Manifest) -> bool:
        """Forget a snapshot with a damaged file, and that file; False if the snapshot is whole."""
        damaged = [digest for digest in manifest.files.values() if not self.is_whole(digest)]
        if damaged:
            self._manifests.pop((manifest.stage, manifest.shard_id, Place.of(manifest)), None)
            for digest in damaged:
                self.files.pop(digest, None)
        return bool(damaged)

    def is_whole(self, digest: str) -> bool:
        """Say whether the file of this name is there, and what it was."""
        content = self.files.get(digest)
        return content is not None and sha256(content).hexdigest() == digest

    async def retire(self, stage: str, shard_id: str) -> None:
        """Remove the shard's old snapshots, and the files that no snapshot names any more."""
        manifests = [manifest for manifest in await self.manifests(stage, shard_id) if not manifest.ended]
        for manifest in manifests[self._kept :]:
            del self._manifests[stage, shard_id, Place.of(manifest)]
        named = {digest for manifest in self._manifests.values() for digest in manifest.files.values()}
        self.files = {digest: content for digest, content in self.files.items() if digest in named}


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")


def _copy(source: Path, target: Path) -> str:
    """Copy a file durably and return the SHA-256 of what was copied, in hex."""
    digest = sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        _write(folder / name, content)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
