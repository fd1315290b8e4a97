"""How a log is named where people name one: ``local:DIR``, ``kinesis:REGION``, and for workers ``kcl[:REGION]``.

The last two are the same log.  What differs is who reads it for a worker: the worker itself, or KCL.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import LogError
from pipeline.ports import Log
from pipeline.stream_logs.local import LocalLog

if TYPE_CHECKING:
    from pipeline.ports import Clock
    from pipeline.settings import KinesisSettings

FORMS = "local:DIR | kinesis:REGION"
FORMS_FOR_WORKERS = f"{FORMS} | kcl[:REGION]"

_LOCAL = "local"
_KINESIS = "kinesis"
_KCL = "kcl"


class OpenLog(Log, Protocol):
    """A log that this process has opened."""

    def close(self) -> None:
        """Finish what is being written; a closed log must not be used."""


def open_log(name: str, clock: Clock, kinesis: KinesisSettings | None = None) -> OpenLog:
    """Return the log called ``name``; ``LogError`` if that is no name of a log, or says what it takes to open it."""
    kind, place = _parts(name)
    if kind == _LOCAL:
        return LocalLog(Path(place), clock)
    from pipeline.stream_logs.kinesis import KinesisLog  # noqa: PLC0415 - boto3 takes half a second to import
    from pipeline.stream_logs.kinesis_client import connect  # noqa: PLC0415

    return KinesisLog(connect(place), clock, name, kinesis)


def check_name(name: str) -> None:
    """Raise ``LogError`` unless ``name`` names a log for a worker; nothing is opened."""
    if is_kcl(name):
        return
    kind, place = _parts(name, FORMS_FOR_WORKERS)
    if kind == _KINESIS:
        from pipeline.stream_logs.kinesis_client import check_region  # noqa: PLC0415 - as in open_log

        check_region(place)


def is_kcl(name: str) -> bool:
    """Say whether a worker on the log called ``name`` is run by KCL."""
    return name.partition(":")[0] == _KCL


def region_of(name: str) -> str | None:
    """Return the AWS region in the name of a log; None where the name has none."""
    kind, _, place = name.partition(":")
    return place or None if kind in {_KINESIS, _KCL} else None


def _parts(name: str, forms: str = FORMS) -> tuple[str, str]:
    kind, _, place = name.partition(":")
    if kind not in {_LOCAL, _KINESIS} or not place:
        raise LogError(f"{name!r} names no log; one is {forms}")
    return kind, place
