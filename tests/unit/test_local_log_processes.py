"""The embedded log among several processes, some of which die."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import NamedTuple

import pytest

from pipeline.kernel.hashrange import LAST_HASH
from tests.local_log_under_test import opened
from tests.log_under_test import FIRST_SHARD, QUARTER, LogUnderTest, contents
from tests.unit import log_process

pytestmark = pytest.mark.slow

STEPS_MAX = 60


class Acknowledged(NamedTuple):
    """What a process was told: its record of that number landed."""

    number: int
    shard_id: str
    sequence: int


def command(folder: Path, *arguments: object, die_at: int = 0) -> list[str]:
    return [sys.executable, "-m", log_process.__name__, str(folder), str(die_at), *map(str, arguments)]


def a_writer(folder: Path, name: str, count: int, size: int = 100, hashes: tuple[int, ...] = (0,)) -> Popen[str]:
    return Popen(
        command(folder, "put", name, count, size, *(f"{hashed:x}" for hashed in hashes)), stdout=PIPE, text=True
    )


def acknowledged(process: Popen[str]) -> Iterator[Acknowledged]:
    """Give what the process was told, until it ends; a line that it could not finish counts for nothing."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith("\n"):
            number, shard_id, sequence = line.split()
            yield Acknowledged(int(number), shard_id, int(sequence))


def numbers(log: LogUnderTest, name: str, *shard_ids: str) -> list[int]:
    """Return the numbers of the records that ``name`` put, in the order of the log."""
    return [
        int(user_record.rpartition(b"/")[2])
        for shard_id in shard_ids or (FIRST_SHARD,)
        for user_record in log.contents(shard_id)
        if user_record.startswith(name.encode() + b"/")
    ]


def places(log: LogUnderTest, name: str, shard_id: str = FIRST_SHARD) -> list[Acknowledged]:
    """Return what ``name`` put into a shard as it would have been acknowledged."""
    return [
        Acknowledged(int(record.user_records[0].rpartition(b"/")[2]), shard_id, record.sequence)
        for record in log.read(shard_id=shard_id).records
        if record.user_records[0].startswith(name.encode() + b"/")
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_writer_loses_nothing_that_it_was_told_had_landed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with opened(tmp_path) as reader:
        for life in range(3):
            name = f"life{life}"
            with a_writer(tmp_path, name, count=100_000, size=chance.choice((10, 10_000, 300_000))) as process:
                told = []
                kill_after = chance.randrange(1, 60)
                for one in acknowledged(process):
                    told.append(one)
                    if len(told) == kill_after:
                        process.kill()

            after_death = reader.put(b"neighbour").sequence
            there = places(reader, name)
            assert [one.number for one in there] == list(range(len(there)))
            assert there[: len(told)] == told
            assert len(there) <= len(told) + 1
            assert after_death > there[-1].sequence
    with opened(tmp_path) as log:
        assert places(log, "life0")[0].number == 0


@pytest.mark.parametrize("size", [10, 60_000], ids=["one segment", "several segments"])
def test_a_writer_may_die_at_any_step_of_a_put(tmp_path: Path, size: int) -> None:
    with opened(tmp_path) as log:
        log.put(b"before")
        for die_at in range(1, STEPS_MAX):
            name = f"step{die_at:02d}"
            process = subprocess.run(
                command(tmp_path, "put", name, 4, size, "0", die_at=die_at), stdout=PIPE, text=True, check=False
            )
            told = len(process.stdout.splitlines())

            log.put(b"after")
            there = numbers(log, name)
            assert there == list(range(len(there)))
            assert told <= len(there) <= told + 1
            if process.returncode == 0:
                assert told == 4
                break
            assert process.returncode == -signal.SIGKILL
        else:
            pytest.fail("the puts never came to their end")
    with opened(tmp_path) as log:
        assert log.contents().count(b"after") == die_at


def test_a_process_may_die_at_any_step_of_a_split(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.put(b"before")
        for die_at in range(1, STEPS_MAX):
            parent = next(shard for shard in log.shards() if not shard.closed)
            before = len(log.shards())
            at = parent.hash_range.first + (parent.hash_range.last - parent.hash_range.first) // 2
            split = command(tmp_path, "split", parent.shard_id, f"{at:x}", die_at=die_at)
            returned = subprocess.run(split, check=False).returncode

            landed = log.put(b"after%d" % die_at, hashed=parent.hash_range.first)

            children = [shard.shard_id for shard in log.shards() if parent.shard_id in shard.parents]
            happened = len(log.shards()) == before + 2
            assert len(children) == (2 if happened else 0)
            assert landed.shard_id == (children[0] if happened else parent.shard_id)
            assert log.read(after=log.latest(parent.shard_id), shard_id=parent.shard_id).ended == happened
            if returned == 0:
                assert happened
                break
            assert returned == -signal.SIGKILL
        else:
            pytest.fail("the split never came to its end")
        lineage = [user_record for shard in log.shards() for user_record in log.contents(shard.shard_id)]
        assert sorted(lineage) == sorted([b"before", *(b"after%d" % step for step in range(1, die_at + 1))])


def test_two_processes_write_one_shard_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        with a_writer(tmp_path, "one", 300, size=1000) as one, a_writer(tmp_path, "two", 300, size=1000) as two:
            told = {"one": list(acknowledged(one)), "two": list(acknowledged(two))}
        assert (one.returncode, two.returncode) == (0, 0)

        for name, acknowledgements in told.items():
            assert places(log, name) == acknowledgements
            assert len(acknowledgements) == 300
        assert log.read(limit=1).behind_records == 2 * 600 - 2


def test_a_reader_follows_a_writer_of_another_process(tmp_path: Path) -> None:
    with opened(tmp_path) as log, a_writer(tmp_path, "writer", 200, size=5000) as process:
        read: list[bytes] = []
        after = 0
        for told in acknowledged(process):
            while after < told.sequence:  # what another process was told is there is there
                given = log.read(after, limit=10)
                after = given.records[-1].sequence
                read += contents(given.records)[::2]
    assert read == [b"writer/%06d" % i for i in range(200)]


def test_a_writer_meets_the_split_of_another_process(tmp_path: Path) -> None:
    hashes = (0, QUARTER, LAST_HASH)
    with opened(tmp_path) as log, a_writer(tmp_path, "writer", 300, hashes=hashes) as process:
        told = []
        for one in acknowledged(process):
            told.append(one)
            if len(told) == 50:
                log.split(QUARTER)
            if len(told) == 100:
                log.merge("shardId-000000000001", "shardId-000000000002")
        shard_ids = [shard.shard_id for shard in log.shards()]

        for at in range(3):  # each key in its order, along the shards
            on_one_hash = [number for number in numbers(log, "writer", *shard_ids) if number % 3 == at]
            assert on_one_hash == list(range(at, 300, 3))
        assert [one for shard_id in shard_ids for one in places(log, "writer", shard_id)] == sorted(
            told, key=lambda one: (one.shard_id, one.sequence)
        )
        assert {one.shard_id for one in told} == set(shard_ids)
        assert all(log.read(shard_id=shard_id).ended for shard_id in shard_ids[:3])


def test_two_processes_that_make_a_log_at_once_make_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "log"
    script = (
        "import asyncio, sys; from pathlib import Path\n"
        "from pipeline.stream_logs.local import LocalLog; from pipeline.system_clock import SystemClock\n"
        "log = LocalLog(Path(sys.argv[1]), SystemClock()); asyncio.run(log.create_stream('payments', 3))\n"
        "print(log.incarnation)\n"
    )
    processes = [Popen([sys.executable, "-c", script, str(folder)], stdout=PIPE, text=True) for _ in range(4)]
    names = {process.communicate()[0] for process in processes}

    with opened(folder) as log:
        assert names == {log.incarnation + "\n"}
        assert len(log.shards()) == 3
        log.put(b"x")


@pytest.mark.parametrize("die_at", range(1, 12))
def test_a_process_may_die_at_any_step_of_making_a_log(tmp_path: Path, die_at: int) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path\n"
        "from pipeline.stream_logs.local import LocalLog; from pipeline.system_clock import SystemClock\n"
        "from tests.unit.log_process import die_at\n"
        "die_at(int(sys.argv[2]))\n"
        "log = LocalLog(Path(sys.argv[1]), SystemClock()); asyncio.run(log.create_stream('payments', 1))\n"
    )
    folder = tmp_path / "log"
    subprocess.run([sys.executable, "-c", script, str(folder), str(die_at)], check=False)

    with opened(folder) as log:
        log.put(b"x")
        assert log.contents() == [b"x"]
