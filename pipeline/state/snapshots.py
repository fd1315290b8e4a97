"""Snapshots where another machine can find them: a folder, or memory.

Below the folder::

    files/<SHA-256>                        every file of every snapshot, once, named by its content
    manifests/<stage>/<shard>/<place>.json what each snapshot is (``manifests.py``)
    lock                                   held shared by who publishes or fetches, alone by who removes files

**Publishing** copies the files that are not there yet, makes them durable, and creates the manifest last and
conditionally (a hard link fails if the name exists), so a manifest never names a file that is missing or cut short, and
of two publishers of one place one wins.  The loser accepts what is there only if the states are equal.  Files are
copied and not linked: what damages a live database must not damage its snapshots.

**Retiring** keeps the newest manifests of a shard, and every END snapshot for ever: children start from it.  A file
that no manifest names is removed under the lock, alone, so never between a publisher's copy and its manifest.

A damaged manifest hides its snapshot and nothing else.  While there is one, no file is removed: whoever repairs it may
want them.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from typing import TYPE_CHECKING

from pipeline.errors import SnapshotError
from pipeline.state.durable import check_name, sync_folder
from pipeline.state.manifests import Place, check_same_state, decode, describe, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline.ports import Manifest

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 20


class FolderSnapshots:
    """A ``SnapshotStore`` in a folder, for any number of processes at once."""

    def __init__(self, folder: Path, kept: int = 3) -> None:
        if kept < 1:
            raise ValueError(f"at least one snapshot of a shard must be kept, not {kept}")
        self._kept = kept
        self._files = folder / "files"
        self._manifests = folder / "manifests"
        self._lock = folder / "lock"
        self._files.mkdir(parents=True, exist_ok=True)
        self._manifests.mkdir(exist_ok=True)

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        """Store the files of ``folder`` that are not stored yet, then the manifest, created conditionally."""
        await asyncio.to_thread(self._publish, manifest, folder)

    async def manifests(self, stage: str, shard_id: str) -> Sequence[Manifest]:
        """Return the shard's snapshots, the newest first; a damaged manifest is logged as an error and left out."""
        return await asyncio.to_thread(self._read_manifests, stage, shard_id)

    async def fetch(self, manifest: Manifest, folder: Path) -> None:
        """Copy the snapshot's files into ``folder``, which must not exist, and verify each."""
        await asyncio.to_thread(self._fetch, manifest, folder)

    async def set_aside(self, manifest: Manifest) -> bool:
        """Rename the manifest of a snapshot with a damaged file, and remove that; False if the snapshot is whole."""
        return await asyncio.to_thread(self._set_aside_damaged, manifest)

    async def retire(self, stage: str, shard_id: str) -> None:
        """Remove the shard's old snapshots, and the files that no snapshot names any more."""
        await asyncio.to_thread(self._retire, stage, shard_id)

    # ------------------------------------------------------------------------------------------------- publish

    def _publish(self, manifest: Manifest, folder: Path) -> None:
        with self._locked(fcntl.LOCK_SH):
            for name, digest in manifest.files.items():
                self._store_file(folder / name, digest)
            sync_folder(self._files)
            if self._create_manifest(manifest):
                return
        try:
            existing = self._read_manifest(manifest.stage, manifest.shard_id, Place.of(manifest))
        except FileNotFoundError:
            return  # it won, and was retired since: the shard has newer ones
        except SnapshotError as error:
            _log.error("snapshot set aside for a new one: %s", error)
            self._set_aside(manifest)
            self._publish(manifest, folder)
        else:
            check_same_state(existing, manifest)

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
        path = self._path(manifest.stage, manifest.shard_id, Place.of(manifest))
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

    def _set_aside(self, manifest: Manifest) -> None:
        """Rename the damaged manifest in the place of ``manifest``, unless another publisher was here first."""
        path = self._path(manifest.stage, manifest.shard_id, Place.of(manifest))
        with self._locked(fcntl.LOCK_EX), suppress(FileNotFoundError):
            try:
                self._read_manifest(manifest.stage, manifest.shard_id, Place.of(manifest))
            except SnapshotError:
                path.replace(path.with_suffix(".damaged"))

    def _set_aside_damaged(self, manifest: Manifest) -> bool:
        path = self._path(manifest.stage, manifest.shard_id, Place.of(manifest))
        with self._locked(fcntl.LOCK_EX):
            damaged = [digest for digest in manifest.files.values() if not self._is_whole(digest)]
            if damaged:
                _log.error(
                    "snapshot set aside: %s: files missing or damaged: %s", describe(manifest), ", ".join(damaged)
                )
                with suppress(FileNotFoundError):
                    path.replace(path.with_suffix(".damaged"))
                for digest in damaged:  # a file under this name would be taken for stored
                    (self._files / digest).unlink(missing_ok=True)
        return bool(damaged)

    def _is_whole(self, digest: str) -> bool:
        try:
            with (self._files / digest).open("rb") as file:
                return file_digest(file, "sha256").hexdigest() == digest
        except FileNotFoundError:
            return False

    # ------------------------------------------------------------------------------------------ manifests, fetch

    def _path(self, stage: str, shard_id: str, place: Place) -> Path:
        return self._manifests / check_name(stage) / check_name(shard_id) / place.name

    def _places(self, stage: str, shard_id: str) -> list[Place]:
        folder = self._manifests / check_name(stage) / check_name(shard_id)
        return Place.named(path.name for path in folder.iterdir()) if folder.exists() else []

    def _read_manifest(self, stage: str, shard_id: str, place: Place) -> Manifest:
        return decode(self._path(stage, shard_id, place).read_bytes(), stage, shard_id, place)

    def _read_manifests(self, stage: str, shard_id: str) -> list[Manifest]:
        found = []
        for place in self._places(stage, shard_id):
            try:
                found.append(self._read_manifest(stage, shard_id, place))
            except FileNotFoundError:
                continue  # retired since it was listed
            except SnapshotError as error:
                _log.error("snapshot left out: %s", error)
        return found

    def _fetch(self, manifest: Manifest, folder: Path) -> None:
        if folder.exists():
            raise FileExistsError(f"snapshot {describe(manifest)} cannot be fetched into {folder}: it exists")
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            with self._locked(fcntl.LOCK_SH):
                for name, digest in manifest.files.items():
                    self._fetch_file(manifest, name, digest, partial)
            sync_folder(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _fetch_file(self, manifest: Manifest, name: str, digest: str, folder: Path) -> None:
        try:
            found = _copy(self._files / digest, folder / name)
        except FileNotFoundError as error:
            raise SnapshotError(f"snapshot {describe(manifest)}: file {name} ({digest}) is missing") from error
        if found != digest:
            raise SnapshotError(
                f"snapshot {describe(manifest)}: file {name} is damaged: it is {found} and should be {digest}"
            )

    # -------------------------------------------------------------------------------------------------- retire

    def _retire(self, stage: str, shard_id: str) -> None:
        intact = [Place.of(manifest) for manifest in self._read_manifests(stage, shard_id)]
        current = [place for place in intact if not place.ended][: self._kept]
        for place in self._places(stage, shard_id):
            if len(current) == self._kept and place < current[-1] and not place.ended:
                self._path(stage, shard_id, place).unlink(missing_ok=True)
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                self._remove_unnamed_files()
        except BlockingIOError:
            _log.info("files of retired snapshots stay for now: a snapshot is being published or fetched")

    def _remove_unnamed_files(self) -> None:
        try:
            named = self._named_files()
        except SnapshotError as error:
            _log.error("no file of a retired snapshot is removed: %s", error)
            return
        for path in sorted(self._files.iterdir()):
            if path.name not in named:
                path.unlink()

    def _named_files(self) -> set[str]:
        named: set[str] = set()
        for folder in sorted(self._manifests.glob("*/*")):
            stage, shard_id = folder.parent.name, folder.name
            for place in self._places(stage, shard_id):
                with suppress(FileNotFoundError):  # retired by another worker since it was listed
                    named.update(self._read_manifest(stage, shard_id, place).files.values())
        return named

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
