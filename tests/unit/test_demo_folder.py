"""A demo has its folder to itself, until the last of its processes has ended."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from demo.folder import FolderInUseError, LeftBehindError, folder_of_run, hold, require_options
from demo.stopping import stopped_by_sigterm
from pipeline.system_clock import SystemClock
from tests.virtual_clock import VirtualClock


def test_a_folder_is_free_again_when_its_demo_has_ended(tmp_path: Path) -> None:
    async def twice() -> None:
        for _ in range(2):
            async with hold(tmp_path, VirtualClock()):
                pass

    asyncio.run(twice())


def test_two_demos_are_not_in_one_folder(tmp_path: Path) -> None:
    async def beside_each_other() -> None:
        async with hold(tmp_path, VirtualClock()), hold(tmp_path, VirtualClock()):
            pass

    with pytest.raises(FolderInUseError, match="another demo works in"):
        asyncio.run(beside_each_other())


def test_a_folder_is_not_free_while_a_process_of_its_demo_lives(tmp_path: Path) -> None:
    async def behind_one_that_left_a_process() -> None:
        with pytest.raises(LeftBehindError):
            async with hold(tmp_path, VirtualClock()) as lock:
                inherited = os.dup(lock)
        try:
            async with hold(tmp_path, VirtualClock()):
                pass
        finally:
            os.close(inherited)

    with pytest.raises(FolderInUseError):
        asyncio.run(behind_one_that_left_a_process())


def test_a_demo_waits_for_the_last_of_its_processes(tmp_path: Path) -> None:
    async def with_one_that_ends_late() -> None:
        async with hold(tmp_path, SystemClock()) as lock:
            asyncio.get_running_loop().call_later(0.2, os.close, os.dup(lock))
        async with hold(tmp_path, VirtualClock()):
            pass

    asyncio.run(with_one_that_ends_late())


def test_a_run_goes_on_with_the_options_that_it_was_begun_with(tmp_path: Path) -> None:
    for _ in range(2):
        require_options(tmp_path, {"--seconds": 2.0, "--shards": 2})


def test_other_options_than_those_of_the_run_are_refused(tmp_path: Path) -> None:
    require_options(tmp_path, {"--seconds": 2.0, "--shards": 2, "--seed": 1})

    with pytest.raises(FolderInUseError, match=r"was begun with --seconds 2.0, not 1.0, --shards 2, not 3; take"):
        require_options(tmp_path, {"--seconds": 1.0, "--shards": 3, "--seed": 1})


def test_a_temporary_folder_is_gone_when_all_was_well() -> None:
    said: list[str] = []

    with folder_of_run(None, "demo", said.append) as folder:
        (folder / "log").mkdir()

    assert not folder.exists()
    assert said == []


def test_a_temporary_folder_of_a_run_that_failed_is_kept_and_named() -> None:
    said: list[str] = []

    with pytest.raises(KeyboardInterrupt), folder_of_run(None, "demo", said.append) as folder:
        raise KeyboardInterrupt

    assert folder.is_dir()
    assert said == [f"what is left of the run is in {folder}"]
    folder.rmdir()


def test_a_folder_that_was_given_is_kept_however_it_ends(tmp_path: Path) -> None:
    with folder_of_run(tmp_path, "demo", pytest.fail) as folder:
        pass

    assert folder == tmp_path
    assert folder.is_dir()


@pytest.mark.parametrize("interrupts", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_ends_a_run_as_an_interrupt_also_where_those_are_ignored(interrupts: signal.Handlers) -> None:
    ended: list[str] = []

    async def run() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            ended.append("processes")

    before = signal.signal(signal.SIGINT, interrupts)
    try:
        with pytest.raises(KeyboardInterrupt), stopped_by_sigterm():
            asyncio.run(run())
    finally:
        signal.signal(signal.SIGINT, before)

    assert ended == ["processes"]
