"""The embedded log among neighbours that have the same folder open: opening, segments, trimming, resharding."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Lock

import pytest

from pipeline.errors import BeyondEndError, LogError, TrimmedRangeError
from pipeline.ports import Landed
from pipeline.stream_logs.local import LocalLog
from pipeline.stream_logs.local_header import CLOSING, ShardHeader
from pipeline.stream_logs.local_queue import QUICK_SYNC_SECONDS
from tests.local_log_under_test import failing, opened, segments, shard_folder
from tests.log_under_test import FIRST_SHARD, QUARTER, STREAM, LogUnderTest, an_entry, contents
from tests.virtual_clock import SOME_DAY_US, US_PER_SECOND, VirtualClock


def test_a_log_is_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        incarnation = log.incarnation
        log.put_in_turn(b"one", b"two")
        log.split(QUARTER)
        log.put(b"three")
        shards, given = log.shards(), log.read()

    with opened(tmp_path) as log:
        assert log.incarnation == incarnation
        assert log.shards() == shards
        assert log.read() == given
        assert log.contents(shards[1].shard_id) == [b"three"]


def test_a_reader_that_may_not_write_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as log:
        log.put_in_turn(b"one", b"two")
        log.split(QUARTER)
    for lock in shard_folder(tmp_path).glob("*.lock"):
        lock.unlink()
    system_open = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return system_open(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    reader = LocalLog(tmp_path, VirtualClock())
    with LogUnderTest(reader, shards=0) as log:
        assert log.contents() == [b"one", b"two"]
        assert log.read().ended
        assert len(log.shards()) == 3
        with pytest.raises(LogError, match="only be read"):
            log.put(b"three")
    reader.close()


def test_who_puts_at_once_shares_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, syncs = os.fdatasync, 0

    def counted(file: int) -> None:
        nonlocal syncs
        syncs += 1
        sync(file)

    with opened(tmp_path) as log:
        log.put(b"first")
        monkeypatch.setattr(os, "fdatasync", counted)

        async def all_at_once() -> None:
            await asyncio.gather(*(log.log.put_records(STREAM, [an_entry(b"%03d" % i)]) for i in range(200)))

        log.wait(all_at_once())

        assert log.contents() == [b"first", *(b"%03d" % i for i in range(200))]
        assert syncs <= 3


def test_shards_are_synced_side_by_side_where_the_disk_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, first, others = os.fdatasync, Lock(), Barrier(3, timeout=10)

    def slow(file: int) -> None:
        sync(file)
        if first.acquire(blocking=False):
            time.sleep(2 * QUICK_SYNC_SECONDS)
        else:
            others.wait()

    with opened(tmp_path, shards=4) as log:
        monkeypatch.setattr(os, "fdatasync", slow)

        landed = log.wait(log.log.put_records(STREAM, [an_entry(b"%d" % i, hashed=i * QUARTER) for i in range(4)]))

        assert [one.shard_id for one in landed if isinstance(one, Landed)] == [s.shard_id for s in log.shards()]


def test_a_shard_that_cannot_be_written_fails_nobody_but_who_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, shards=2) as log:
        first, second = (shard.hash_range.first for shard in log.shards())
        sync = os.fdatasync
        broken = segments(tmp_path)[0].stat().st_ino

        def fails_in_one(file: int) -> None:
            if os.fstat(file).st_ino == broken:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            sync(file)

        async def put_in_both() -> Sequence[object]:
            puts = [log.log.put_records(STREAM, [an_entry(b"a", hashed=hashed)]) for hashed in (first, second)]
            return await asyncio.gather(*puts, return_exceptions=True)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fails_in_one)
            of_first, of_second = log.wait(put_in_both())

        assert isinstance(of_first, LogError)
        assert of_second == [Landed(log.shards()[1].shard_id, log.latest(log.shards()[1].shard_id))]


def test_a_look_at_the_tip_opens_and_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as log:
        end = log.put(b"one").sequence
        log.read()
        for call in ("pread", "open", "stat", "listdir", "scandir"):
            monkeypatch.setattr(os, call, failing(errno.EIO))

        assert list(log.read(after=end).records) == []


def test_a_put_that_was_cancelled_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with opened(tmp_path) as log:

        async def cancelled_and_not() -> None:
            puts = [asyncio.ensure_future(log.log.put_records(STREAM, [an_entry(b"%d" % i)])) for i in range(5)]
            await asyncio.sleep(0)
            puts[0].cancel()
            puts[3].cancel()
            await asyncio.wait(puts)

        log.wait(cancelled_and_not())
        log.put(b"5")

        read = log.contents()
        assert [user_record for user_record in read if user_record not in (b"0", b"3")] == [b"1", b"2", b"4", b"5"]


def test_a_segment_that_is_full_is_followed_by_another(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1000) as log:
        log.put_in_turn(*(bytes([i]) * 300 for i in range(10)))

        sizes = [segment.stat().st_size for segment in segments(tmp_path)]
        assert len(sizes) == 4
        assert all(size >= 1000 for size in sizes[:-1])
        assert log.contents() == [bytes([i]) * 300 for i in range(10)]


def test_trimming_removes_the_files_and_tells_readers_of_all_processes(tmp_path: Path) -> None:
    clock = VirtualClock()
    with opened(tmp_path, segment_bytes=1, clock=clock) as log, opened(tmp_path) as neighbour:
        log.put_in_turn(b"one", b"two")
        assert len(neighbour.contents()) == 2
        clock.move(US_PER_SECOND)
        log.put_in_turn(b"three", b"four")

        horizon = log.trim(SOME_DAY_US + US_PER_SECOND)

        assert int(segments(tmp_path)[0].stem) == horizon > 0
        with pytest.raises(TrimmedRangeError):
            neighbour.read(after=0)
        assert neighbour.trim_horizon() == horizon
        assert contents(neighbour.read(after=horizon).records)[-2:] == [b"three", b"four"]
    with opened(tmp_path) as log:
        assert log.trim_horizon() == horizon


def test_a_neighbour_sees_what_landed_and_nothing_beyond(tmp_path: Path) -> None:
    with opened(tmp_path) as log, opened(tmp_path) as neighbour:
        assert list(neighbour.read().records) == []
        end = log.put(b"one").sequence

        assert contents(neighbour.read().records) == [b"one"]
        with pytest.raises(BeyondEndError):
            neighbour.read(after=end + 1)


def test_a_neighbours_split_and_merge_are_met_by_who_writes(tmp_path: Path) -> None:
    with opened(tmp_path) as log, opened(tmp_path) as neighbour:
        log.put(b"before")
        low, high = neighbour.split(QUARTER)
        landed = log.put_all(an_entry(b"low"), an_entry(b"high", hashed=QUARTER))
        assert [result.shard_id for result in landed] == [low.shard_id, high.shard_id]

        merged = neighbour.merge(low.shard_id, high.shard_id)
        assert log.put(b"merged").shard_id == merged.shard_id
        assert log.read().ended
        assert log.shards() == neighbour.shards()


@contextmanager
def a_dead_resharder(folder: Path) -> Iterator[None]:
    """Leave a shard as a process does that dies after it kept the writers out."""
    with opened(folder) as log:
        log.latest()
        header = ShardHeader(shard_folder(folder) / "header")
        header.change_state(CLOSING)
        header.close()
    yield


def test_who_meets_a_split_that_never_happened_opens_the_shard_again(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.put(b"one")
    with a_dead_resharder(tmp_path), opened(tmp_path) as log:
        assert log.put(b"two").shard_id == FIRST_SHARD
        assert log.contents() == [b"one", b"two"]


def test_who_reads_the_end_of_a_split_that_happened_is_told_so(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.put(b"one")
        log.split(QUARTER)
    with a_dead_resharder(tmp_path), opened(tmp_path) as log:
        assert log.read(after=log.latest()).ended


def test_a_shard_and_a_map_that_do_not_agree_are_an_error(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        map_path = tmp_path / "streams" / STREAM / "stream.json"
        old_map = map_path.read_text()
        log.split(QUARTER)
    map_path.write_text(old_map)
    assert len(json.loads(old_map)["shards"]) == 1

    with opened(tmp_path) as log, pytest.raises(LogError, match="do not agree"):
        log.put(b"x")
