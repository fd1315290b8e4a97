"""What the stack needs that may not be installed; each thing is named, with what to do."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from demo.errors import RunError
from pipeline import tool_cache
from pipeline.kcl_daemon import java
from pipeline.kcl_daemon.errors import DaemonSetupError
from pipeline.settings import KclSettings

EMULATORS = tool_cache.folder("emulators", Path(__file__).with_name("package-lock.json")) / "node_modules"


class NotInstalledError(RunError):
    """Something that the stack needs is not installed; the message names all of it."""


def check() -> None:
    """Raise ``NotInstalledError`` unless everything is there."""
    missing = list(_missing())
    if missing:
        raise NotInstalledError("the stack cannot be started: " + "; ".join(missing))


def _missing() -> Iterator[str]:
    if shutil.which("node") is None:
        yield "no 'node' on the PATH: install Node.js 20 or later, with npm"
    for package in ("kinesalite", "dynalite"):
        if not (EMULATORS / package).is_dir():
            yield f"no {package} in {EMULATORS}: run make emulators"
    if importlib.util.find_spec("moto") is None:
        yield "no moto in this environment: run make stack, which installs what requirements.lock names"
    try:
        java.command(KclSettings(), Path(), Path())
    except DaemonSetupError as error:
        yield str(error)
