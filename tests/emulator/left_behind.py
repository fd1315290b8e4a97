"""What still runs of something that was to leave nothing."""

from __future__ import annotations

from pathlib import Path


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose command line names ``folder``, or that have a file open there."""
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if _works_in(folder, process)]


def _works_in(folder: Path, process: Path) -> bool:
    try:
        if str(folder) in (process / "cmdline").read_text("utf-8", "replace"):
            return True
        return any(str(file.readlink()).startswith(str(folder)) for file in (process / "fd").iterdir())
    except OSError:
        return False  # it has just ended
