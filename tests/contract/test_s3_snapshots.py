"""What only S3 needs: nothing locks a bucket, so age says what may be removed; and uploads are checked on arrival."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from pathlib import Path
from time import time_ns
from typing import Any
from uuid import uuid4

import pytest

from pipeline.errors import SnapshotError
from pipeline.state.s3_snapshots import UNNAMED_KEPT_SECONDS, S3Snapshots
from tests.aws_under_test import client, new_bucket
from tests.contract.test_snapshot_contract import Shard
from tests.virtual_clock import US_PER_SECOND, VirtualClock


class Bucket:
    """A bucket, and the time that its users take it for."""

    def __init__(self, endpoint: str) -> None:
        self.s3 = client("s3", endpoint)
        self.name = new_bucket(self.s3, f"bucket-{uuid4()}")
        self.clock = VirtualClock(time_ns() // 1_000)
        self.snapshots = S3Snapshots(self.s3, self.name, "", self.clock, kept=1)

    def files(self) -> dict[str, Any]:
        """Return when each file was stored, by its digest."""
        listed = self.s3.list_objects_v2(Bucket=self.name, Prefix="files/").get("Contents", ())
        return {found["Key"].removeprefix("files/"): found["LastModified"] for found in listed}

    def put_file(self, digest: str, content: bytes) -> None:
        self.s3.put_object(Bucket=self.name, Key=f"files/{digest}", Body=content)


@pytest.fixture
def bucket(aws: str) -> Bucket:
    return Bucket(aws)


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(tmp_path)


def test_a_young_file_without_a_name_may_belong_to_a_snapshot_that_is_being_published(
    bucket: Bucket, shard: Shard
) -> None:
    bucket.put_file("0" * 64, b"of a manifest to come")
    for position in (1, 2):
        asyncio.run(bucket.snapshots.publish(*shard.snapshot(position, b"v%d" % position)))

    asyncio.run(bucket.snapshots.retire("authorise", "shard-0"))
    assert len(bucket.files()) == 3

    bucket.clock.move((UNNAMED_KEPT_SECONDS + 60) * US_PER_SECOND)
    asyncio.run(bucket.snapshots.publish(*shard.snapshot(3, b"v3")))
    asyncio.run(bucket.snapshots.retire("authorise", "shard-0"))
    assert len(bucket.files()) == 1


def test_a_file_that_may_be_removed_soon_is_stored_again_before_a_manifest_names_it(
    bucket: Bucket, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[str] = []
    bucket.s3.meta.events.register("before-call.s3.PutObject", lambda params, **_: stored.append(params["url_path"]))

    def files_stored() -> int:
        return sum("/files/" in path for path in stored)

    asyncio.run(bucket.snapshots.publish(*shard.snapshot(1, b"same")))
    asyncio.run(bucket.snapshots.publish(*shard.snapshot(2, b"same")))
    assert files_stored() == 1

    bucket.clock.move((UNNAMED_KEPT_SECONDS // 2 + 60) * US_PER_SECOND)
    asyncio.run(bucket.snapshots.publish(*shard.snapshot(3, b"same")))
    assert files_stored() == 2


def test_every_upload_carries_the_checksum_by_which_s3_refuses_what_was_damaged_on_the_way(
    bucket: Bucket, shard: Shard
) -> None:
    sent: list[str] = []
    bucket.s3.meta.events.register(
        "before-call.s3.PutObject", lambda params, **_: sent.append(params["headers"]["x-amz-checksum-sha256"])
    )
    manifest, folder = shard.snapshot(1, b"one")

    asyncio.run(bucket.snapshots.publish(manifest, folder))

    ((_, digest),) = manifest.files.items()
    assert b64decode(sent[0]).hex() == digest
    assert len(sent) == 2


def test_a_bucket_that_is_not_there_is_named(aws: str, shard: Shard) -> None:
    snapshots = S3Snapshots(client("s3", aws), "no-such-bucket", "", VirtualClock())

    with pytest.raises(SnapshotError, match="s3://no-such-bucket"):
        asyncio.run(snapshots.manifests("authorise", "shard-0"))
    with pytest.raises(SnapshotError, match="s3://no-such-bucket"):
        asyncio.run(snapshots.publish(*shard.snapshot(1, b"one")))
