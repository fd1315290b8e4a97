"""Snapshots in a folder: whatever is damaged, the one before it is used, and it is said loudly."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SnapshotError
from pipeline.ports import Manifest
from pipeline.state.digest import FileDigests, state_digest
from pipeline.state.restoring import fetch_newest
from pipeline.state.rocks import RocksSettings, RocksStores
from pipeline.state.snapshots import FolderSnapshots

SOURCE = "log-1/payments/shard-0"


class Shard:
    """A shard on disk that writes, snapshots, and starts again from its snapshots."""

    def __init__(self, folder: Path, shard_id: str = "shard-0") -> None:
        self.snapshots = FolderSnapshots(folder / "snapshots", kept=2)
        self.published: list[Manifest] = []
        self._folder = folder / shard_id
        self._shard_id = shard_id
        self._stores = RocksStores(self._folder / "state", RocksSettings(block_cache_mib=1, write_buffers_mib=4))
        self._store = self._stores.create("authorise", shard_id)
        self._digests = FileDigests()

    def snapshot(self, position: int, *, ended: bool = False) -> Manifest:
        """Write something at ``position``, publish a snapshot, and return its manifest."""
        checkpoint = self._folder / "checkpoint" / str(position)
        value = random.Random(position).randbytes(50_000)
        self._store.write({b"position": b"%d" % position, b"value/%d" % position: value})
        self._store.flush()
        self._store.checkpoint(checkpoint)
        manifest = Manifest(
            stage="authorise",
            source=SOURCE,
            shard_id=self._shard_id,
            position=position.to_bytes(20, "big"),
            ended=ended,
            chain_head=b"\x01" * 32,
            behaviour=1,
            state_digest=state_digest(self._stores.read(checkpoint)),
            files=self._digests.of(checkpoint),
        )
        asyncio.run(self.snapshots.publish(manifest, checkpoint))
        self.published.append(manifest)
        return manifest

    def restart(self) -> bytes | None:
        """Restore the newest snapshot that is whole into the place of the state; return the position in it."""
        self._store.close()
        fetched = self._folder / "fetched"
        manifest = asyncio.run(fetch_newest(self.snapshots, "authorise", self._shard_id, SOURCE, fetched))
        if manifest is None:
            return None
        self._store = self._stores.adopt("authorise", self._shard_id, fetched)
        assert state_digest(self._store) == manifest.state_digest
        return self._store.get(b"position")

    def manifest_path(self, position: int) -> Path:
        return self._folder.parent / f"snapshots/manifests/authorise/{self._shard_id}/{position:040x}.json"

    def file_path(self, manifest: Manifest, suffix: str = ".sst") -> Path:
        """Return the stored file of ``manifest`` that no earlier snapshot has."""
        before = {digest for earlier in self.published if earlier is not manifest for digest in earlier.files.values()}
        (digest,) = (
            digest
            for name, digest in manifest.files.items()
            if digest not in before and (name.endswith(suffix) or name.startswith(suffix))
        )
        return self._folder.parent / "snapshots" / "files" / digest


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(tmp_path)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_a_shard_starts_again_from_its_newest_snapshot(shard: Shard) -> None:
    shard.snapshot(1)
    shard.snapshot(2)

    assert shard.restart() == b"2"


def test_a_shard_goes_on_after_a_restart_and_snapshots_again(shard: Shard) -> None:
    shard.snapshot(1)
    shard.restart()
    shard.snapshot(2)

    assert shard.restart() == b"2"


@pytest.mark.parametrize("damage", [flip_a_bit, cut_short, empty, Path.unlink])
@pytest.mark.parametrize("suffix", [".sst", "MANIFEST"])
def test_a_damaged_file_leads_to_the_snapshot_before(
    shard: Shard, damage: Callable[[Path], None], suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    shard.snapshot(1)
    damaged = shard.file_path(shard.snapshot(2), suffix)
    damage(damaged)

    assert shard.restart() == b"1"

    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"authorise/shard-0/{2:040x}" in told.getMessage()
    assert damaged.name in told.getMessage()


@pytest.mark.parametrize("damage", [flip_a_bit, cut_short, empty])
def test_a_damaged_manifest_leads_to_the_snapshot_before(
    shard: Shard, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    shard.snapshot(1)
    shard.snapshot(2)
    damage(shard.manifest_path(2))

    assert shard.restart() == b"1"

    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"authorise/shard-0/{2:040x}.json is damaged" in told.getMessage()


@pytest.mark.parametrize(
    ("field", "value"),
    [("chain_head", "02" * 32), ("behaviour", 2), ("position", "03" * 20), ("ended", True), ("format", 2)],
)
def test_a_manifest_altered_by_hand_leads_to_the_snapshot_before(shard: Shard, field: str, value: object) -> None:
    shard.snapshot(1)
    shard.snapshot(2)
    document = json.loads(shard.manifest_path(2).read_bytes())
    shard.manifest_path(2).write_text(json.dumps({**document, field: value}))

    assert shard.restart() == b"1"


def test_manifests_of_two_shards_that_were_swapped_are_both_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = Shard(tmp_path, "shard-0"), Shard(tmp_path, "shard-1")
    for shard in (one, other):
        shard.snapshot(1)
        shard.snapshot(2)
    first, second = one.manifest_path(2), other.manifest_path(2)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)

    assert (one.restart(), other.restart()) == (b"1", b"1")
    assert "is another's: authorise/shard-1" in caplog.text


def test_an_older_manifest_under_a_newer_name_is_left_out(shard: Shard) -> None:
    shard.snapshot(1)
    shard.snapshot(2)
    shard.manifest_path(3).write_bytes(shard.manifest_path(1).read_bytes())

    assert shard.restart() == b"2"


def test_a_shard_whose_snapshots_are_all_damaged_starts_from_nothing(shard: Shard) -> None:
    for position in (1, 2):
        shard.snapshot(position)
        cut_short(shard.manifest_path(position))

    assert shard.restart() is None


def test_a_manifest_is_readable_and_names_its_digest(shard: Shard) -> None:
    shard.snapshot(1)

    document = json.loads(shard.manifest_path(1).read_bytes())

    assert document["source"] == SOURCE
    assert document["position"] == f"{1:040x}"
    assert len(document["manifest_sha256"]) == 64


def test_only_files_that_are_new_are_stored(shard: Shard, tmp_path: Path) -> None:
    first = shard.snapshot(1)
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "snapshots" / "files").iterdir()}
    second = shard.snapshot(2)

    shared = set(first.files.values()) & set(second.files.values())
    assert any(first.files[name] in shared for name in first.files if name.endswith(".sst"))
    for digest in shared:
        assert (tmp_path / "snapshots" / "files" / digest).stat().st_mtime_ns == times[digest]


def test_a_stored_file_that_was_cut_short_is_stored_again_by_the_next_snapshot(shard: Shard) -> None:
    first = shard.snapshot(1)
    cut_short(shard.file_path(first))
    shard.snapshot(2)

    assert shard.restart() == b"2"


def test_a_checkpoint_that_changed_since_it_was_digested_is_not_published(shard: Shard, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "file").write_bytes(b"what was digested")
    manifest = Manifest(
        stage="authorise",
        source=SOURCE,
        shard_id="shard-0",
        position=b"\0" * 20,
        ended=False,
        chain_head=b"",
        behaviour=1,
        state_digest=b"",
        files=FileDigests().of(tmp_path / "checkpoint"),
    )
    (tmp_path / "checkpoint" / "file").write_bytes(b"what is there now")

    with pytest.raises(SnapshotError, match="changed while its snapshot was published"):
        asyncio.run(shard.snapshots.publish(manifest, tmp_path / "checkpoint"))

    assert asyncio.run(shard.snapshots.manifests("authorise", "shard-0")) == []


def test_of_two_publishers_at_once_one_wins_and_both_are_content(tmp_path: Path) -> None:
    publishers = [Shard(tmp_path / name) for name in ("a", "b")]
    manifests = [publisher.snapshot(1) for publisher in publishers]
    common = FolderSnapshots(tmp_path / "common")

    async def race() -> list[Manifest]:
        folders = [tmp_path / name / "shard-0" / "checkpoint" / "1" for name in ("a", "b")]
        both = zip(manifests, folders, strict=True)
        await asyncio.gather(*(common.publish(*one) for one in both for _ in range(4)))
        return list(await common.manifests("authorise", "shard-0"))

    (winner,) = asyncio.run(race())
    assert winner in manifests
    asyncio.run(common.fetch(winner, tmp_path / "fetched"))


def test_a_damaged_manifest_is_set_aside_by_the_next_publisher_of_its_place(
    shard: Shard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = shard.snapshot(1)
    cut_short(shard.manifest_path(1))

    asyncio.run(shard.snapshots.publish(manifest, tmp_path / "shard-0" / "checkpoint" / "1"))

    assert asyncio.run(shard.snapshots.manifests("authorise", "shard-0")) == [manifest]
    assert "set aside" in caplog.text


def test_retiring_removes_files_that_no_snapshot_names(shard: Shard, tmp_path: Path) -> None:
    for position in range(1, 6):
        shard.snapshot(position)
    leftover = tmp_path / "snapshots" / "files" / ".a-copy-that-was-cut-short"
    leftover.write_bytes(b"")

    asyncio.run(shard.snapshots.retire("authorise", "shard-0"))

    named = {digest for manifest in shard.published[-2:] for digest in manifest.files.values()}
    assert {path.name for path in (tmp_path / "snapshots" / "files").iterdir()} == named
    assert shard.restart() == b"5"


def test_no_file_is_removed_while_a_snapshot_is_published_or_fetched(shard: Shard, tmp_path: Path) -> None:
    shard.snapshot(1)
    unnamed = tmp_path / "snapshots" / "files" / "just-copied"
    unnamed.write_bytes(b"the manifest comes next")

    with (tmp_path / "snapshots" / "lock").open("ab") as publisher:
        fcntl.flock(publisher, fcntl.LOCK_SH)
        asyncio.run(shard.snapshots.retire("authorise", "shard-0"))
    assert unnamed.exists()

    asyncio.run(shard.snapshots.retire("authorise", "shard-0"))
    assert not unnamed.exists()


def test_no_file_is_removed_while_a_manifest_is_damaged(shard: Shard, tmp_path: Path) -> None:
    damaged = shard.snapshot(1)
    cut_short(shard.manifest_path(1))
    shard.snapshot(2)

    asyncio.run(shard.snapshots.retire("authorise", "shard-0"))
    assert set(damaged.files.values()) <= {path.name for path in (tmp_path / "snapshots" / "files").iterdir()}

    for position in (3, 4):  # and then it is older than those that are kept
        shard.snapshot(position)
    asyncio.run(shard.snapshots.retire("authorise", "shard-0"))
    assert not shard.manifest_path(1).exists()
    assert not set(damaged.files.values()) <= {path.name for path in (tmp_path / "snapshots" / "files").iterdir()}


def test_a_snapshot_store_that_keeps_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        FolderSnapshots(tmp_path, kept=0)


def test_a_shard_id_that_is_no_folder_is_refused(shard: Shard) -> None:
    with pytest.raises(ValueError, match="not a name for a folder"):
        asyncio.run(shard.snapshots.manifests("authorise", "../shard-0"))
