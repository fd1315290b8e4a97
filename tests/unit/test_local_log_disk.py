"""What the embedded log does when the disk is full or fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import LogError
from pipeline.ports import Refused
from tests.local_log_under_test import failing, opened, segments
from tests.log_under_test import STREAM, an_entry


def test_what_finds_the_disk_full_is_refused_and_half_a_frame_is_never_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwritev

    def half(file: int, pieces: Sequence[bytes], offset: int) -> None:
        written = b"".join(pieces)
        write(file, [written[: len(written) // 2]], offset)

    with opened(tmp_path) as log:
        end = log.put(b"one").sequence
        with monkeypatch.context() as full:
            full.setattr(os, "pwritev", failing(errno.ENOSPC, half))
            (refused, too) = log.wait(log.log.put_records(STREAM, [an_entry(b"two"), an_entry(b"three")]))
        assert isinstance(refused, Refused)
        assert os.strerror(errno.ENOSPC) in refused.reason
        assert too == refused
        assert segments(tmp_path)[0].stat().st_size == end

        log.put(b"four")
        assert log.contents() == [b"one", b"four"]


def test_a_new_segment_that_finds_the_disk_full_refuses_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, segment_bytes=1) as log:
        log.put(b"one")
        with monkeypatch.context() as full:
            full.setattr(os, "fsync", failing(errno.ENOSPC))
            (refused,) = log.wait(log.log.put_records(STREAM, [an_entry(b"two")]))
        assert isinstance(refused, Refused)

        log.put(b"three")
        assert log.contents() == [b"one", b"three"]


def test_a_write_that_fails_otherwise_is_an_error_and_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as log:
        log.put(b"one")
        with monkeypatch.context() as broken:
            broken.setattr(os, "pwritev", failing(errno.EIO))
            with pytest.raises(LogError, match=os.strerror(errno.EIO)):
                log.put(b"two")

    with opened(tmp_path) as log:
        assert log.contents() == [b"one"]


def test_after_a_failed_sync_nobody_writes_until_the_shard_was_opened_and_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as log, opened(tmp_path) as neighbour:
        log.put_in_turn(b"one")
        neighbour.put_in_turn(b"two")
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", failing(errno.EIO))
            with pytest.raises(LogError, match="cannot be synced"):
                log.put(b"unknown")

        for writer in (log, neighbour):
            with pytest.raises(LogError, match="could not be synced"):
                writer.put(b"never")
        assert log.contents() == neighbour.contents() == [b"one", b"two"]

    with opened(tmp_path) as log:
        log.put(b"three")
        assert log.contents() == [b"one", b"two", b"unknown", b"three"]


def test_what_may_be_missing_on_disk_is_written_again_before_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as log, monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", failing(errno.EIO))
        with pytest.raises(LogError):
            log.put(b"unknown")
    written: list[bytes] = []
    write = os.pwritev

    def watched(file: int, pieces: Sequence[bytes], offset: int) -> int:
        written.append(b"".join(pieces))
        return write(file, pieces, offset)

    monkeypatch.setattr(os, "pwritev", watched)
    with opened(tmp_path) as log:
        assert log.contents() == [b"unknown"]

    assert written == [segments(tmp_path)[0].read_bytes()]
