"""Snapshots in S3, where the next owner of a shard finds them on another machine.

Below the prefix::

    files/<SHA-256>                          every file of every snapshot, once, named by its content
    manifests/<stage>/<shard>/<place>.json   created with If-None-Match: of two publishers one wins

A file is stored with its SHA-256 as S3's own checksum, so what was damaged on the way is refused, and digested again
when it is fetched.  A manifest is written last: until then nobody finds the snapshot.

Nothing locks a bucket.  A file that no manifest names is removed only when it is older than ``UNNAMED_KEPT_SECONDS``,
and whoever publishes a snapshot stores a file anew that is older than half of that: so a file is never removed between
the moment at which a publisher relied on it and the manifest that names it, unless publishing takes hours.

Calls block, so they run in threads; one client is used by all of them, as boto3 allows.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from base64 import b64encode
from hashlib import file_digest, sha256
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import SnapshotError
from pipeline.state.durable import check_name, sync_folder
from pipeline.state.manifests import Place, check_same_state, decode, describe, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.ports import Clock, Manifest

_log = logging.getLogger(__name__)

UNNAMED_KEPT_SECONDS: Final = 6 * 3_600
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_EXISTS: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_DELETED_AT_ONCE: Final = 1_000
"""Keys of one DeleteObjects."""
_US_PER_SECOND: Final = 1_000_000


class S3Snapshots:
    """A ``SnapshotStore`` below a prefix of a bucket."""

    def __init__(self, client: Any, bucket: str, prefix: str, clock: Clock, kept: int = 3) -> None:  # noqa: ANN401 - boto3's clients have no types
        if kept < 1:
            raise ValueError(f"at least one snapshot of a shard must be kept, not {kept}")
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._clock = clock
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
        """Remove the manifest of a snapshot with a damaged file, and that file; False if the snapshot is whole."""
        return await asyncio.to_thread(self._set_aside, manifest)

    async def retire(self, stage: str, shard_id: str) -> None:
        """Remove the shard's old snapshots, and old files that no snapshot names any more."""
        await asyncio.to_thread(self._retire, stage, shard_id)

    # ------------------------------------------------------------------------------------------------- publish

    def _publish(self, manifest: Manifest, folder: Path) -> None:
        for name, digest in manifest.files.items():
            self._store_file(folder / name, digest)
        if self._create_manifest(manifest):
            return
        try:
            existing = self._read_manifest(manifest.stage, manifest.shard_id, Place.of(manifest))
        except FileNotFoundError:
            return  # it won, and was retired since: the shard has newer ones
        except SnapshotError as error:
            _log.error("snapshot replaced by a new one: %s", error)
            self._remove([self._manifest_key(manifest)])
            self._publish(manifest, folder)
        else:
            check_same_state(existing, manifest)

    def _store_file(self, source: Path, digest: str) -> None:
        if self._is_stored_lately(digest, source.stat().st_size):
            return
        checksum = b64encode(bytes.fromhex(digest)).decode()
        with source.open("rb") as content:
            self._call("put_object", Key=self._file_key(digest), Body=content, ChecksumSHA256=checksum)

    def _is_stored_lately(self, digest: str, size: int) -> bool:
        try:
            head = self._call("head_object", Key=self._file_key(digest))
        except FileNotFoundError:
            return False
        return head["ContentLength"] == size and self._age_seconds(head["LastModified"]) < UNNAMED_KEPT_SECONDS / 2

    def _create_manifest(self, manifest: Manifest) -> bool:
        content = encode(manifest)
        checksum = b64encode(sha256(content).digest()).decode()
        key = self._manifest_key(manifest)
        try:
            self._call("put_object", Key=key, Body=content, ChecksumSHA256=checksum, IfNoneMatch="*")
        except FileExistsError:
            return False
        return True

    # ------------------------------------------------------------------------------------------ manifests, fetch

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

    def _read_manifest(self, stage: str, shard_id: str, place: Place) -> Manifest:
        found = self._call("get_object", Key=self._shard_prefix(stage, shard_id) + place.name)
        return decode(found["Body"].read(), stage, shard_id, place)

    def _fetch(self, manifest: Manifest, folder: Path) -> None:
        if folder.exists():
            raise FileExistsError(f"snapshot {describe(manifest)} cannot be fetched into {folder}: it exists")
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            for name, digest in manifest.files.items():
                self._fetch_file(manifest, name, digest, partial / name)
            sync_folder(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _fetch_file(self, manifest: Manifest, name: str, digest: str, target: Path) -> None:
        try:
            found = self._call("get_object", Key=self._file_key(digest))
            with target.open("xb") as file:
                shutil.copyfileobj(found["Body"], file)
        except FileNotFoundError as error:
            raise SnapshotError(f"snapshot {describe(manifest)}: file {name} ({digest}) is missing") from error
        except BotoCoreError as error:
            raise SnapshotError(f"snapshot {describe(manifest)}: file {name} cannot be fetched: {error}") from error
        with target.open("rb") as file:
            fetched = file_digest(file, "sha256").hexdigest()
        if fetched != digest:
            raise SnapshotError(
                f"snapshot {describe(manifest)}: file {name} is damaged: it is {fetched} and should be {digest}"
            )

    # ------------------------------------------------------------------------------------------ set aside, retire

    def _set_aside(self, manifest: Manifest) -> bool:
        damaged = [digest for digest in manifest.files.values() if not self._is_whole(digest)]
        if damaged:
            _log.error("snapshot set aside: %s: files missing or damaged: %s", describe(manifest), ", ".join(damaged))
            self._remove([self._manifest_key(manifest), *map(self._file_key, damaged)])
        return bool(damaged)

    def _is_whole(self, digest: str) -> bool:
        try:
            found = self._call("get_object", Key=self._file_key(digest))
        except FileNotFoundError:
            return False
        content = sha256()
        for chunk in found["Body"].iter_chunks():
            content.update(chunk)
        return content.hexdigest() == digest

    def _retire(self, stage: str, shard_id: str) -> None:
        current = [Place.of(manifest) for manifest in self._read_manifests(stage, shard_id) if not manifest.ended]
        if len(current) > self._kept:
            oldest_kept = current[self._kept - 1]
            old = [place for place in self._places(stage, shard_id) if place < oldest_kept and not place.ended]
            self._remove([self._shard_prefix(stage, shard_id) + place.name for place in old])
            self._remove_unnamed_files()

    def _remove_unnamed_files(self) -> None:
        try:
            named = set(self._named_files())
        except SnapshotError as error:
            _log.error("no file of a retired snapshot is removed: %s", error)
            return
        prefix = f"{self._prefix}files/"
        self._remove(
            [
                found["Key"]
                for found in self._list(prefix)
                if found["Key"].removeprefix(prefix) not in named
                and self._age_seconds(found["LastModified"]) > UNNAMED_KEPT_SECONDS
            ]
        )

    def _named_files(self) -> Iterator[str]:
        prefix = f"{self._prefix}manifests/"
        for found in self._list(prefix):
            stage, shard_id, name = found["Key"].removeprefix(prefix).split("/")
            for place in Place.named([name]):
                try:
                    yield from self._read_manifest(stage, shard_id, place).files.values()
                except FileNotFoundError:
                    continue  # retired by another worker since it was listed

    # ------------------------------------------------------------------------------------------------- the bucket

    def _places(self, stage: str, shard_id: str) -> list[Place]:
        prefix = self._shard_prefix(stage, shard_id)
        return Place.named(found["Key"].removeprefix(prefix) for found in self._list(prefix))

    def _shard_prefix(self, stage: str, shard_id: str) -> str:
        return f"{self._prefix}manifests/{check_name(stage)}/{check_name(shard_id)}/"

    def _manifest_key(self, manifest: Manifest) -> str:
        return self._shard_prefix(manifest.stage, manifest.shard_id) + Place.of(manifest).name

    def _file_key(self, digest: str) -> str:
        return f"{self._prefix}files/{digest}"

    def _age_seconds(self, modified: Any) -> float:  # noqa: ANN401 - a datetime of boto3's
        return self._clock.now_us() / _US_PER_SECOND - float(modified.timestamp())

    def _list(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        try:
            for page in pages:
                yield from page.get("Contents", ())
        except (BotoCoreError, ClientError) as error:
            raise SnapshotError(f"s3://{self._bucket}/{prefix} cannot be listed: {error}") from error

    def _remove(self, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            objects = [{"Key": key} for key in keys[first : first + _DELETED_AT_ONCE]]
            done = self._call("delete_objects", Delete={"Objects": objects, "Quiet": True})
            for failure in done.get("Errors", ()):
                raise SnapshotError(f"s3://{self._bucket}/{failure['Key']} cannot be removed: {failure['Message']}")

    def _call(self, operation: str, **arguments: Any) -> Any:  # noqa: ANN401
        """Call S3; raise ``FileNotFoundError``, ``FileExistsError`` or ``SnapshotError``."""
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            place = f"s3://{self._bucket}/{arguments.get('Key', self._prefix)}"
            if code in _MISSING:
                raise FileNotFoundError(place) from error
            if code in _EXISTS:
                raise FileExistsError(place) from error
            raise SnapshotError(f"{place}: {operation} failed: {error}") from error
        except BotoCoreError as error:
            raise SnapshotError(f"s3://{self._bucket}: {operation} failed: {error}") from error
