"""What snapshots in a folder and snapshots in a bucket have in common: every rule, and none of the calls.

Files are stored first, each named by its SHA-256, and the manifest last and conditionally: a manifest never names a
file that is missing or cut short, and of two publishers of one place one wins.  The loser accepts what is there only if
the states are equal.

Retiring keeps the newest manifests of a shard, and every END snapshot for ever: children start from it.  A damaged
manifest hides its snapshot and nothing else; while there is one, no file is removed: whoever repairs it may want them.

Calls block, so each runs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import SnapshotError
from pipeline.state.durable import sync_folder
from pipeline.state.manifests import Place, check_same_state, decode, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.ports import Manifest

_log = logging.getLogger(__name__)


class ShardPlace(NamedTuple):
    """Where a manifest is."""

    stage: str
    shard_id: str
    place: Place

    @classmethod
    def of(cls, manifest: Manifest) -> ShardPlace:
        """Return where the manifest belongs."""
        return cls(manifest.stage, manifest.shard_id, Place.of(manifest))


class BlockingSnapshots(ABC):
    """A ``SnapshotStore``; what its calls are is for its subclasses to say."""

    def __init__(self, kept: int) -> None:
        if kept < 1:
            raise ValueError(f"at least one snapshot of a shard must be kept, not {kept}")
        self._kept = kept

    async def publish(self, manifest: Manifest, folder: Path) -> None:
        """Store the files of ``folder`` that are not stored yet, then the manifest, created conditionally."""
        await asyncio.to_thread(self._publish, manifest, folder)

    async def manifests(self, stage: str, shard_id: str) -> Sequence[Manifest]:
        """Return the shard's snapshots, the newest first; a damaged manifest is logged as an error and left out."""
        return await asyncio.to_thread(self._read_manifests, stage, shard_id)

    async def fetch(self, manifest: Manifest, folder: Path) -> None:
        """Write the snapshot's files into ``folder``, which must not exist, and verify each."""
        await asyncio.to_thread(self._fetch, manifest, folder)

    async def set_aside(self, manifest: Manifest) -> bool:
        """Hide the manifest of a snapshot with a damaged file, and remove that; False if the snapshot is whole."""
        return await asyncio.to_thread(self._set_aside, manifest)

    async def retire(self, stage: str, shard_id: str) -> None:
        """Remove the shard's old snapshots, and the files that no snapshot names any more."""
        await asyncio.to_thread(self._retire, stage, shard_id)

    # ---------------------------------------------------------------------------------------- what a subclass calls

    @abstractmethod
    def _store_file(self, source: Path, digest: str) -> None:
        """Store a file under its digest, unless it is there."""

    @abstractmethod
    def _create_manifest(self, manifest: Manifest) -> bool:
        """Store a manifest behind its files; return False if there is one in its place."""

    @abstractmethod
    def _places(self, stage: str, shard_id: str) -> list[Place]:
        """Return where the shard has manifests, the newest first."""

    @abstractmethod
    def _all_places(self) -> Iterator[ShardPlace]:
        """Yield where there are manifests, of all shards."""

    @abstractmethod
    def _read(self, at: ShardPlace) -> bytes:
        """Return a manifest's bytes, or raise ``FileNotFoundError``."""

    @abstractmethod
    def _fetch_file(self, digest: str, target: Path) -> str:
        """Write a file; return the digest of what was written, or raise ``FileNotFoundError``."""

    @abstractmethod
    def _is_whole(self, digest: str) -> bool:
        """Say whether a file is there, and what its name says."""

    @abstractmethod
    def _hide(self, at: ShardPlace) -> None:
        """Let a damaged manifest be found no more, if it is there still."""

    @abstractmethod
    def _remove_manifests(self, stage: str, shard_id: str, places: Sequence[Place]) -> None:
        """Remove old manifests."""

    @abstractmethod
    def _remove_files(self, digests: Sequence[str]) -> None:
        """Remove files that are damaged: under their names they would be taken for stored."""

    @abstractmethod
    def _remove_files_but(self, named: set[str]) -> None:
        """Remove the files that are not ``named``."""

    def _while_files_stay(self) -> AbstractContextManager[None]:
        """Let nobody remove files meanwhile."""
        return nullcontext()

    def _while_alone(self) -> AbstractContextManager[None]:
        """Let nobody publish or fetch meanwhile."""
        return nullcontext()

    # ------------------------------------------------------------------------------------------------- the rules

    def _publish(self, manifest: Manifest, folder: Path) -> None:
        with self._while_files_stay():
            for name, digest in manifest.files.items():
                self._store_file(folder / name, digest)
            if self._create_manifest(manifest):
                return
        try:
            existing = self._read_manifest(ShardPlace.of(manifest))
        except FileNotFoundError:
            return  # it won, and was retired since: the shard has newer ones
        except SnapshotError as error:
            _log.error("snapshot set aside for a new one: %s", error)
            self._hide_damaged(ShardPlace.of(manifest))
            self._publish(manifest, folder)
        else:
            check_same_state(existing, manifest)

    def _hide_damaged(self, at: ShardPlace) -> None:
        """Hide a damaged manifest, unless another publisher was here first."""
        with self._while_alone(), suppress(FileNotFoundError):
            try:
                self._read_manifest(at)
            except SnapshotError:
                self._hide(at)

    def _read_manifest(self, at: ShardPlace) -> Manifest:
        return decode(self._read(at), *at)

    def _read_manifests(self, stage: str, shard_id: str) -> list[Manifest]:
        found = []
        for place in self._places(stage, shard_id):
            try:
                found.append(self._read_manifest(ShardPlace(stage, shard_id, place)))
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
            with self._while_files_stay():
                for name, digest in manifest.files.items():
                    self._fetch_verified(manifest, name, digest, partial / name)
            sync_folder(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _fetch_verified(self, manifest: Manifest, name: str, digest: str, target: Path) -> None:
        try:
            found = self._fetch_file(digest, target)
        except FileNotFoundError as error:
            raise SnapshotError(f"snapshot {describe(manifest)}: file {name} ({digest}) is missing") from error
        if found != digest:
            raise SnapshotError(
                f"snapshot {describe(manifest)}: file {name} is damaged: it is {found} and should be {digest}"
            )

    def _set_aside(self, manifest: Manifest) -> bool:
        with self._while_alone():
            damaged = [digest for digest in manifest.files.values() if not self._is_whole(digest)]
            if damaged:
                _log.error(
                    "snapshot set aside: %s: files missing or damaged: %s", describe(manifest), ", ".join(damaged)
                )
                self._hide(ShardPlace.of(manifest))
                self._remove_files(damaged)
        return bool(damaged)

    def _retire(self, stage: str, shard_id: str) -> None:
        current = [Place.of(manifest) for manifest in self._read_manifests(stage, shard_id) if not manifest.ended]
        if len(current) >= self._kept:
            oldest_kept = current[self._kept - 1]
            old = [place for place in self._places(stage, shard_id) if place < oldest_kept and not place.ended]
            self._remove_manifests(stage, shard_id, old)
        self._remove_unnamed_files()

    def _remove_unnamed_files(self) -> None:
        named: set[str] = set()
        try:
            for at in self._all_places():
                with suppress(FileNotFoundError):  # retired by another worker since it was listed
                    named.update(self._read_manifest(at).files.values())
        except SnapshotError as error:
            _log.error("no file of a retired snapshot is removed: %s", error)
            return
        self._remove_files_but(named)
