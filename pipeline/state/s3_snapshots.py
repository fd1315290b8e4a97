"""Snapshots in S3, where the next owner of a shard finds them on another machine.

Below the prefix::

    files/<SHA-256>                          every file of every snapshot, once, named by its content
    manifests/<stage>/<shard>/<place>.json   created with If-None-Match: of two publishers one wins

A file is stored with its SHA-256 as S3's own checksum, so what was damaged on the way is refused, and digested again
when it is fetched.  A manifest is written last: until then nobody finds the snapshot.

Nothing locks a bucket.  A file that no manifest names is removed only when it is older than ``UNNAMED_KEPT_SECONDS``,
and whoever publishes a snapshot stores a file anew that is older than half of that: so a file is never removed between
the moment at which a publisher relied on it and the manifest that names it, unless publishing takes hours.

One client is used by all threads, as boto3 allows.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import SnapshotError
from pipeline.state.blocking_snapshots import BlockingSnapshots, ShardPlace
from pipeline.state.durable import check_name
from pipeline.state.manifests import Place, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.ports import Clock, Manifest

UNNAMED_KEPT_SECONDS: Final = 6 * 3_600
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_EXISTS: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_DELETED_AT_ONCE: Final = 1_000
"""Keys of one DeleteObjects."""
_CHUNK_BYTES: Final = 1 << 20
_US_PER_SECOND: Final = 1_000_000


class S3Snapshots(BlockingSnapshots):
    """A ``SnapshotStore`` below a prefix of a bucket."""

    def __init__(self, client: Any, bucket: str, prefix: str, clock: Clock, kept: int = 3) -> None:  # noqa: ANN401 - boto3's clients have no types
        super().__init__(kept)
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._clock = clock

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
        key = self._manifest_key(ShardPlace.of(manifest))
        try:
            self._call("put_object", Key=key, Body=content, ChecksumSHA256=checksum, IfNoneMatch="*")
        except FileExistsError:
            return False
        return True

    def _places(self, stage: str, shard_id: str) -> list[Place]:
        prefix = self._shard_prefix(stage, shard_id)
        return Place.named(found["Key"].removeprefix(prefix) for found in self._list(prefix))

    def _all_places(self) -> Iterator[ShardPlace]:
        prefix = f"{self._prefix}manifests/"
        for found in self._list(prefix):
            stage, shard_id, name = found["Key"].removeprefix(prefix).split("/")
            for place in Place.named([name]):
                yield ShardPlace(stage, shard_id, place)

    def _read(self, at: ShardPlace) -> bytes:
        content: bytes = self._call("get_object", Key=self._manifest_key(at))["Body"].read()
        return content

    def _fetch_file(self, digest: str, target: Path) -> str:
        key = self._file_key(digest)
        found = self._call("get_object", Key=key)
        fetched = sha256()
        try:
            with target.open("xb") as file:
                for chunk in found["Body"].iter_chunks(_CHUNK_BYTES):
                    fetched.update(chunk)
                    file.write(chunk)
        except BotoCoreError as error:
            raise SnapshotError(f"s3://{self._bucket}/{key} cannot be fetched: {error}") from error
        return fetched.hexdigest()

    def _is_whole(self, digest: str) -> bool:
        try:
            found = self._call("get_object", Key=self._file_key(digest))
        except FileNotFoundError:
            return False
        content = sha256()
        for chunk in found["Body"].iter_chunks(_CHUNK_BYTES):
            content.update(chunk)
        return content.hexdigest() == digest

    def _hide(self, at: ShardPlace) -> None:
        self._remove([self._manifest_key(at)])

    def _remove_manifests(self, stage: str, shard_id: str, places: Sequence[Place]) -> None:
        self._remove([self._shard_prefix(stage, shard_id) + place.name for place in places])

    def _remove_files(self, digests: Sequence[str]) -> None:
        self._remove([self._file_key(digest) for digest in digests])

    def _remove_files_but(self, named: set[str]) -> None:
        prefix = f"{self._prefix}files/"
        self._remove(
            [
                found["Key"]
                for found in self._list(prefix)
                if found["Key"].removeprefix(prefix) not in named
                and self._age_seconds(found["LastModified"]) > UNNAMED_KEPT_SECONDS
            ]
        )

    # ------------------------------------------------------------------------------------------------- the bucket

    def _shard_prefix(self, stage: str, shard_id: str) -> str:
        return f"{self._prefix}manifests/{check_name(stage)}/{check_name(shard_id)}/"

    def _manifest_key(self, at: ShardPlace) -> str:
        return self._shard_prefix(at.stage, at.shard_id) + at.place.name

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
