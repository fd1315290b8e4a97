"""How a log is named where people name one: ``local:DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import LogError
from pipeline.stream_logs.local import LocalLog

if TYPE_CHECKING:
    from pipeline.ports import Clock

_LOCAL = "local:"


def open_log(name: str, clock: Clock) -> LocalLog:
    """Return the log called ``name``; ``LogError`` if that is no name of a log."""
    return LocalLog(folder_of(name), clock)


def folder_of(name: str) -> Path:
    """Return the folder of the log called ``name``; ``LogError`` if that is no name of a log."""
    if name.startswith(_LOCAL) and len(name) > len(_LOCAL):
        return Path(name.removeprefix(_LOCAL))
    raise LogError(f"{name!r} names no log; one is local:DIR")
