"""What is left of the embedded log after a loss of power, and how damage is told from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import LogError
from pipeline.stream_logs.local import LocalLog
from tests.local_log_under_test import ONE_SEGMENT, opened, segments, shard_folder
from tests.log_under_test import STREAM, LogUnderTest, contents
from tests.virtual_clock import VirtualClock


class PowerLoss:
    """A log in which the header on disk is older than the records: what a loss of power leaves."""

    def __init__(self, folder: Path, synced: Sequence[bytes], lost: bytes) -> None:
        self._before = folder / "before"
        with opened(self._before) as log:
            log.put_in_turn(*synced)
            header = shard_folder(self._before) / "header"
            old_header = header.read_bytes()
            self.synced_end = log.latest()
            self.end = log.put(lost).sequence
        header.write_bytes(old_header)
        self._after = folder / "after"

    def tear(self, at: int, filler: bytes = b"") -> Path:
        """Return a copy in which the bytes from ``at`` on are gone, or read as ``filler``."""
        shutil.rmtree(self._after, ignore_errors=True)
        shutil.copytree(self._before, self._after)
        (segment,) = segments(self._after)
        segment.write_bytes(segment.read_bytes()[:at] + filler * (self.end - at))
        return self._after


@pytest.mark.parametrize("filler", [b"", b"\0", b"\xa5"], ids=["missing", "zero", "garbage"])
def test_a_torn_last_frame_is_cut_off_wherever_it_was_torn(tmp_path: Path, filler: bytes) -> None:
    lost = PowerLoss(tmp_path, synced=[b"one", b"two"], lost=b"\xffthree\xff")

    for at in range(lost.synced_end, lost.end):
        folder = lost.tear(at, filler)
        with opened(folder) as log:
            assert log.contents() == [b"one", b"two"]
            log.put(b"four")
            assert log.contents() == [b"one", b"two", b"four"]
        with opened(folder) as log:
            assert log.contents() == [b"one", b"two", b"four"]


def test_a_whole_frame_behind_an_old_header_is_kept(tmp_path: Path) -> None:
    lost = PowerLoss(tmp_path, synced=[b"one", b"two"], lost=b"three")

    with opened(lost.tear(lost.end)) as log:
        given = log.read()
        assert contents(given.records) == [b"one", b"two", b"three"]
        assert (log.latest(), given.behind_records, given.behind_us) == (lost.end, 0, 0)
        log.put(b"four")
        assert log.read(limit=1).behind_records == 3


def test_records_in_segments_that_an_old_header_does_not_know_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1) as log:
        log.shards()
        log.latest()
        header = shard_folder(tmp_path) / "header"
        old_header = header.read_bytes()
        end = log.put_in_turn(b"one", b"two", b"three")[-1]
    header.write_bytes(old_header)

    with opened(tmp_path, segment_bytes=1) as log:
        assert log.contents() == [b"one", b"two", b"three"]
        assert log.latest() == end
        assert log.put(b"four").sequence > end


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=8),
    segment_bytes=st.sampled_from([1, 500, ONE_SEGMENT]),
    synced=st.integers(0, 7),
    chance=st.randoms(use_true_random=False),
)
def test_what_a_loss_of_power_leaves_is_all_that_was_synced_and_whole_records_behind_it(
    sizes: list[int], segment_bytes: int, synced: int, chance: Random
) -> None:
    put = [bytes([i]) * size for i, size in enumerate(sizes)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        with opened(folder, segment_bytes) as log:
            log.latest()
            header = shard_folder(folder) / "header"
            old_header, ends = header.read_bytes(), [0]
            for i, user_record in enumerate(put, start=1):
                ends.append(log.put(user_record).sequence)
                old_header = header.read_bytes() if i == synced else old_header
        header.write_bytes(old_header)
        last = segments(folder)[-1]
        first = int(last.stem)
        tear = chance.randint(max(first, ends[min(synced, len(put))]), ends[-1])
        os.truncate(last, tear - first)

        with opened(folder, segment_bytes) as log:
            whole = sum(end <= tear for end in ends[1:])
            assert log.contents() == put[:whole]
            log.put(b"next")
            assert log.contents() == [*put[:whole], b"next"]
            assert log.read(limit=1).behind_records == (whole or 0)


def test_a_flipped_byte_before_the_durable_end_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        first, second, _ = log.put_in_turn(b"one", b"two", b"three")
        (segment,) = segments(tmp_path)
        whole = segment.read_bytes()

        for at in range(first, second):
            segment.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
            with pytest.raises(LogError, match=rf"{segment} at byte {first} is damaged"):
                log.read()
            with pytest.raises(LogError, match=rf"{segment} at byte {first} is damaged"):
                log.read(after=first)
            assert contents(log.read(after=second).records) == [b"three"]


def test_a_segment_that_lost_its_end_is_an_error_that_names_it_and_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        first, second = log.put_in_turn(b"one", b"two")
    (segment,) = segments(tmp_path)

    for left in (second - 1, first, 0):
        os.truncate(segment, left)
        with opened(tmp_path) as log, pytest.raises(LogError, match=str(segment)):
            log.read()
        with opened(tmp_path) as log, pytest.raises(LogError, match=str(segment)):
            log.put(b"three")
        assert segment.stat().st_size == left


def test_a_segment_cut_while_it_is_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        first, second = log.put_in_turn(b"one", b"two")
        (segment,) = segments(tmp_path)
        os.truncate(segment, second - 1)

        assert contents(log.read(limit=1).records) == [b"one"]
        with pytest.raises(LogError, match=rf"{segment} at byte {first}"):
            log.read(after=first)


def test_damage_before_a_later_segment_is_not_taken_for_a_torn_end(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1) as log:
        log.latest()
        header = shard_folder(tmp_path) / "header"
        old_header = header.read_bytes()
        log.put_in_turn(b"one", b"two", b"three")
    header.write_bytes(old_header)
    damaged = segments(tmp_path)[1]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    size = damaged.stat().st_size

    with opened(tmp_path) as log, pytest.raises(LogError, match=str(damaged)):
        log.put(b"four")

    assert damaged.stat().st_size == size


def test_a_missing_segment_is_an_error(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1) as log:
        log.put_in_turn(b"one", b"two", b"three")
    segments(tmp_path)[1].unlink()

    with opened(tmp_path) as log:
        assert contents(log.read(limit=1).records) == [b"one"]
        with pytest.raises(LogError, match=str(segments(tmp_path)[0])):
            log.read()


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"x" * 4096], ids=["empty", "zero", "garbage"])
def test_a_damaged_header_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    with opened(tmp_path) as log:
        log.put(b"one")
    header = shard_folder(tmp_path) / "header"
    header.write_bytes(content)

    with opened(tmp_path) as log, pytest.raises(LogError, match=str(header)):
        log.read()


def test_a_position_inside_a_record_is_an_error(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        first, _ = log.put_in_turn(b"one", b"two")

        with pytest.raises(LogError, match=f"or {first - 1} is not the sequence number of a record"):
            log.read(after=first - 1)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2, "stream": "payments", "shards": []}'])
def test_a_map_of_shards_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    with opened(tmp_path):
        pass
    path = tmp_path / "streams" / STREAM / "stream.json"
    path.write_text(content)

    log = LocalLog(tmp_path, VirtualClock())
    with pytest.raises(LogError, match=str(path)):
        LogUnderTest(log).shards()


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2, "incarnation": "x"}'])
def test_a_log_of_another_format_is_not_opened(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.json").write_text(content)

    with pytest.raises(LogError, match=str(tmp_path / "log.json")):
        LocalLog(tmp_path, VirtualClock())


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "x" * 129, "a\n"])
def test_a_stream_is_named_by_letters_digits_and_little_else(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as log, pytest.raises(LogError, match="cannot name a stream"):
        log.wait(log.log.create_stream(name, 1))
