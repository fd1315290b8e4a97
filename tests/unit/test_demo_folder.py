"""A demo has its folder to itself, until the last of its processes has ended."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from demo.folder import FolderInUseError, hold
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
        async with hold(tmp_path, VirtualClock()) as lock:
            inherited = os.dup(lock)
        try:
            async with hold(tmp_path, VirtualClock()):
                pass
        finally:
            os.close(inherited)

    with pytest.raises(FolderInUseError):
        asyncio.run(behind_one_that_left_a_process())
