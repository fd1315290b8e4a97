"""What every snapshot store promises: in a folder, in memory and in S3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import time_ns
from uuid import uuid4

import pytest

from pipeline.errors import InvariantViolation, SnapshotError
from pipeline.ports import Manifest
from pipeline.state.digest import FileDigests, state_digest
from pipeline.state.memory import MemoryStore, MemoryStores
from pipeline.state.restoring import fetch_newest
from pipeline.state.s3_snapshots import S3Snapshots
from pipeline.state.snapshots import FolderSnapshots, MemorySnapshots
from tests.aws_under_test import client, new_bucket
from tests.virtual_clock import VirtualClock

A_DAY_US = 86_400_000_000
"""Seen from a day later, a file in S3 that nobody names is old."""
SOURCE = "log-1/payments/shard-0"


Snapshots = FolderSnapshots | MemorySnapshots | S3Snapshots

PREFIX = "a/prefix"


@pytest.fixture(params=["folder", "memory", "s3"])
def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> Snapshots:
    if request.param == "folder":
        return FolderSnapshots(tmp_path / "snapshots", kept=2)
    if request.param == "memory":
        return MemorySnapshots(kept=2)
    s3 = client("s3", request.getfixturevalue("aws"))
    bucket = new_bucket(s3, f"bucket-{uuid4()}")
    return S3Snapshots(s3, bucket, PREFIX, VirtualClock(time_ns() // 1_000 + A_DAY_US), kept=2)


class Shard:
    """A shard whose state is one value, for as long as it takes to snapshot it."""

    def __init__(self, folder: Path, shard_id: str = "shard-0") -> None:
        self._folder = folder
        self._shard_id = shard_id
        self._taken = 0

    def snapshot(self, position: int, value: bytes, *, ended: bool = False) -> tuple[Manifest, Path]:
        """Return a manifest and the folder of its checkpoint."""
        self._taken += 1
        folder = self._folder / f"{self._shard_id}-checkpoint-{self._taken}"
        store = MemoryStore()
        store.write({b"value": value})
        store.checkpoint(folder)
        manifest = Manifest(
            stage="authorise",
            source=SOURCE,
            shard_id=self._shard_id,
            position=position.to_bytes(20, "big"),
            ended=ended,
            chain_head=b"\x01" * 32,
            behaviour=1,
            state_digest=state_digest(store),
            files=FileDigests().of(folder),
        )
        return manifest, folder


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(tmp_path)


def publish(snapshots: Snapshots, snapshot: tuple[Manifest, Path]) -> Manifest:
    asyncio.run(snapshots.publish(*snapshot))
    return snapshot[0]


def manifests(snapshots: Snapshots, shard_id: str = "shard-0") -> list[Manifest]:
    return list(asyncio.run(snapshots.manifests("authorise", shard_id)))


def value_in(folder: Path) -> bytes | None:
    return MemoryStores().read(folder).get(b"value")


def damage_file(
    snapshots: Snapshots, tmp_path: Path, manifest: Manifest, damage: Callable[[bytes], bytes] | None
) -> None:
    """Change the only file of a snapshot, or remove it."""
    (digest,) = manifest.files.values()
    if isinstance(snapshots, MemorySnapshots):
        content = snapshots.files.pop(digest)
        if damage is not None:
            snapshots.files[digest] = damage(content)
        return
    if isinstance(snapshots, S3Snapshots):
        s3, place = snapshots._client, {"Bucket": snapshots._bucket, "Key": f"{PREFIX}/files/{digest}"}
        content = s3.get_object(**place)["Body"].read()
        s3.delete_object(**place)
        if damage is not None:
            s3.put_object(**place, Body=damage(content))
        return
    path = tmp_path / "snapshots" / "files" / digest
    content = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage(content))


def test_a_shard_without_snapshots_has_none(snapshots: Snapshots) -> None:
    assert manifests(snapshots) == []


def test_what_was_published_is_fetched(snapshots: Snapshots, shard: Shard, tmp_path: Path) -> None:
    published = publish(snapshots, shard.snapshot(1, b"one"))

    (found,) = manifests(snapshots)
    asyncio.run(snapshots.fetch(found, tmp_path / "fetched"))

    assert found == published
    assert value_in(tmp_path / "fetched") == b"one"


def test_manifests_come_newest_first(snapshots: Snapshots, shard: Shard) -> None:
    published = [publish(snapshots, shard.snapshot(position, b"v%d" % position)) for position in (2, 300, 1)]

    assert manifests(snapshots) == [published[1], published[0], published[2]]


def test_shards_and_stages_have_snapshots_of_their_own(snapshots: Snapshots, tmp_path: Path) -> None:
    of_zero = publish(snapshots, Shard(tmp_path).snapshot(1, b"zero"))
    of_one = publish(snapshots, Shard(tmp_path, "shard-1").snapshot(1, b"one"))

    assert manifests(snapshots) == [of_zero]
    assert manifests(snapshots, "shard-1") == [of_one]
    assert list(asyncio.run(snapshots.manifests("settle", "shard-0"))) == []


def test_an_end_snapshot_is_kept_beside_another_at_its_position(snapshots: Snapshots, shard: Shard) -> None:
    running = publish(snapshots, shard.snapshot(5, b"running"))
    ended = publish(snapshots, shard.snapshot(5, b"ended", ended=True))

    assert manifests(snapshots) == [ended, running]


def test_a_lost_race_of_equal_states_is_accepted(snapshots: Snapshots, shard: Shard) -> None:
    first = publish(snapshots, shard.snapshot(1, b"same"))

    second, folder = shard.snapshot(1, b"same")
    publish(snapshots, (replace(second, chain_head=b"\x02" * 32), folder))

    assert manifests(snapshots) == [first]


def test_a_lost_race_of_different_states_halts(snapshots: Snapshots, shard: Shard) -> None:
    first = publish(snapshots, shard.snapshot(1, b"this"))

    with pytest.raises(InvariantViolation, match="two readings of one log differ"):
        publish(snapshots, shard.snapshot(1, b"that"))

    assert manifests(snapshots) == [first]


def test_a_snapshot_of_another_log_in_the_same_place_is_refused(snapshots: Snapshots, shard: Shard) -> None:
    publish(snapshots, shard.snapshot(1, b"same"))
    manifest, folder = shard.snapshot(1, b"same")

    with pytest.raises(SnapshotError, match="log-2"):
        publish(snapshots, (replace(manifest, source="log-2/payments/shard-0"), folder))


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:-1] + b"?", None])
def test_a_damaged_snapshot_is_set_aside_and_can_be_published_again(
    snapshots: Snapshots, shard: Shard, tmp_path: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    manifest, folder = shard.snapshot(1, b"one", ended=True)
    publish(snapshots, (manifest, folder))
    damage_file(snapshots, tmp_path, manifest, damage)

    assert asyncio.run(snapshots.set_aside(manifest))
    assert manifests(snapshots) == []

    publish(snapshots, (manifest, folder))
    asyncio.run(snapshots.fetch(manifest, tmp_path / "fetched"))
    assert value_in(tmp_path / "fetched") == b"one"


def test_a_snapshot_that_is_whole_is_not_set_aside(snapshots: Snapshots, shard: Shard) -> None:
    manifest = publish(snapshots, shard.snapshot(1, b"one"))

    assert not asyncio.run(snapshots.set_aside(manifest))
    assert manifests(snapshots) == [manifest]


def test_retiring_keeps_the_newest(snapshots: Snapshots, shard: Shard, tmp_path: Path) -> None:
    published = [publish(snapshots, shard.snapshot(position, b"v%d" % position)) for position in (1, 2, 3, 4)]

    asyncio.run(snapshots.retire("authorise", "shard-0"))

    assert manifests(snapshots) == [published[3], published[2]]
    with pytest.raises(SnapshotError, match="missing"):
        asyncio.run(snapshots.fetch(published[0], tmp_path / "retired"))


def test_retiring_keeps_files_that_any_snapshot_still_names(snapshots: Snapshots, shard: Shard, tmp_path: Path) -> None:
    publish(snapshots, shard.snapshot(1, b"shared"))
    other = publish(snapshots, Shard(tmp_path, "shard-1").snapshot(1, b"shared"))
    for position in (2, 3, 4):
        publish(snapshots, shard.snapshot(position, b"v%d" % position))

    asyncio.run(snapshots.retire("authorise", "shard-0"))
    asyncio.run(snapshots.fetch(other, tmp_path / "fetched"))

    assert value_in(tmp_path / "fetched") == b"shared"


def test_an_end_snapshot_is_never_retired(snapshots: Snapshots, shard: Shard, tmp_path: Path) -> None:
    ended = publish(snapshots, shard.snapshot(1, b"ended", ended=True))
    for position in (2, 3, 4, 5):
        publish(snapshots, shard.snapshot(position, b"v%d" % position))

    asyncio.run(snapshots.retire("authorise", "shard-0"))
    asyncio.run(snapshots.fetch(ended, tmp_path / "fetched"))

    assert ended in manifests(snapshots)
    assert value_in(tmp_path / "fetched") == b"ended"


def test_a_shard_starts_from_its_newest_snapshot(snapshots: Snapshots, shard: Shard, tmp_path: Path) -> None:
    publish(snapshots, shard.snapshot(1, b"one"))
    newest = publish(snapshots, shard.snapshot(2, b"two"))

    found = asyncio.run(fetch_newest(snapshots, "authorise", "shard-0", SOURCE, tmp_path / "restored"))

    assert found == newest
    assert value_in(tmp_path / "restored") == b"two"


def test_a_shard_without_snapshots_starts_from_nothing(snapshots: Snapshots, tmp_path: Path) -> None:
    assert asyncio.run(fetch_newest(snapshots, "authorise", "shard-0", SOURCE, tmp_path / "restored")) is None
    assert not (tmp_path / "restored").exists()


def test_what_an_interrupted_restore_left_is_removed(snapshots: Snapshots, shard: Shard, tmp_path: Path) -> None:
    publish(snapshots, shard.snapshot(1, b"one"))
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / "rest").write_bytes(b"of an earlier attempt")

    asyncio.run(fetch_newest(snapshots, "authorise", "shard-0", SOURCE, tmp_path / "restored"))

    assert [path.name for path in (tmp_path / "restored").iterdir()] == ["pairs"]


def test_a_snapshot_of_another_log_halts_the_restore(snapshots: Snapshots, shard: Shard, tmp_path: Path) -> None:
    publish(snapshots, shard.snapshot(1, b"one"))

    with pytest.raises(SnapshotError, match="log-2/payments/shard-0"):
        asyncio.run(fetch_newest(snapshots, "authorise", "shard-0", "log-2/payments/shard-0", tmp_path / "restored"))
