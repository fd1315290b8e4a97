"""The folder of a run: one demo at a time in it, and none beside what is left of an earlier one.

A demo that is killed leaves processes that stop by themselves, in their own time; one that is started meanwhile would
meet them at their stores.  So every process of a demo inherits an open lock file: the lock on it ends when the last of
them has ended, however each came to its end.  The run waits for that too, so that it leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from demo.errors import RunError
from pipeline.ports import Clock

WAIT_SECONDS_MAX = 30.0
"""For the last process of a run: one that KCL's daemon stands above may take all of its grace."""
LOOK_SECONDS = 0.05


class LeftBehindError(RunError):
    """Something of the run has not ended with it."""


class FolderInUseError(RunError):
    """The folder is another run's: one that still works there, or one that had other options."""


@contextmanager
def folder_of_run(given: Path | None, command: str, say: Callable[[str], None]) -> Iterator[Path]:
    """Give the folder ``given``, or a temporary one of ``command``: it is evidence, and kept, unless all ends well."""
    if given is not None:
        yield given
        return
    folder = Path(mkdtemp(prefix=f"payments-{command}-"))
    try:
        yield folder
    except BaseException:
        say(f"what is left of the run is in {folder}")
        raise
    rmtree(folder)


@asynccontextmanager
async def hold(folder: Path, clock: Clock) -> AsyncIterator[int]:
    """Hold ``folder``, and give the file descriptor that the demo's processes are to inherit.

    Returns when the last of them has ended; ``LeftBehindError`` if one does not.
    """
    with (folder / "lock").open("ab") as file:
        if not await _locked(file.fileno(), clock):
            raise FolderInUseError(f"another demo works in {folder}; let it end, or take another folder")
        try:
            yield file.fileno()
        finally:
            file.close()
            await _until_nobody_holds(folder, clock)


async def _until_nobody_holds(folder: Path, clock: Clock) -> None:
    with (folder / "lock").open("ab") as file:
        if not await _locked(file.fileno(), clock):
            raise LeftBehindError(f"a process of the run in {folder} has not ended {WAIT_SECONDS_MAX:.0f} s behind it")


async def _locked(file: int, clock: Clock) -> bool:
    """Lock ``file`` as soon as nobody has it; return False if that takes too long."""
    until_us = clock.now_us() + round(WAIT_SECONDS_MAX * 1_000_000)
    while not _lock(file):
        if clock.now_us() >= until_us:
            return False
        await clock.sleep(LOOK_SECONDS)
    return True


def require_options(folder: Path, options: Mapping[str, float]) -> None:
    """Note the options of the run in ``folder``, or raise ``FolderInUseError`` if it was begun with others."""
    noted = folder / "options.json"
    if not noted.exists():
        half_written = noted.with_suffix(".new")
        half_written.write_text(json.dumps(options), "utf-8")
        half_written.rename(noted)
    begun = json.loads(noted.read_text("utf-8"))
    other = [f"{name} {begun.get(name)}, not {value}" for name, value in options.items() if begun.get(name) != value]
    if other:
        raise FolderInUseError(f"the run in {folder} was begun with {', '.join(other)}; take another folder")


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
