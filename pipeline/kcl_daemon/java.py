"""Where Java and KCL's jars are."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pipeline
from pipeline import tool_cache
from pipeline.kcl_daemon.class_archive import ARCHIVE, MAIN_CLASS, QUIET
from pipeline.kcl_daemon.errors import DaemonSetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.settings import KclSettings

_NEEDED = "amazon-kinesis-client-multilang-*.jar"


def command(settings: KclSettings, properties: Path, logback: Path) -> Sequence[str]:
    """Return the command line of a daemon; ``DaemonSetupError`` names all that is missing for it."""
    java = shutil.which(settings.java)
    jars = _jars(settings)
    missing = []
    if java is None:
        missing.append(f"no {settings.java!r} on the PATH: install Java 17, or name it in PAYMENTS_KCL_JAVA")
    if jars is None:
        looked = ", ".join(str(folder) for folder in _folders(settings))
        missing.append(f"no {_NEEDED} in {looked}: run make kcl, or name the jars' folder in PAYMENTS_KCL_JARS")
    if java is None or jars is None:
        raise DaemonSetupError("the KCL daemon cannot be started: " + "; ".join(missing))
    return (
        java,
        f"-Xmx{settings.heap_mib}m",
        "-XX:+ExitOnOutOfMemoryError",  # a daemon without memory hangs its shards; one that ends is started anew
        *_archive(jars),
        "-cp",
        f"{jars}/*",
        MAIN_CLASS,
        "-p",
        str(properties),
        "-l",
        str(logback),
    )


def _archive(jars: Path) -> Sequence[str]:
    archive = jars / ARCHIVE
    return (f"-XX:SharedArchiveFile={archive}", *QUIET) if archive.exists() else ()


def _jars(settings: KclSettings) -> Path | None:
    """Return the folder with the jars, if there is one."""
    return next((folder for folder in _folders(settings) if any(folder.glob(_NEEDED))), None)


def _folders(settings: KclSettings) -> Iterator[Path]:
    """Return where the jars may be: where a setting says, where make puts them, in an installed amazon-kclpy."""
    if settings.jars:
        yield Path(settings.jars).resolve()
        return
    lock = Path(str(pipeline.__file__)).resolve().parents[1] / "requirements-kcl.lock"
    if lock.exists():  # a checkout, and not a package that was installed
        yield tool_cache.folder("kcl", lock) / "jars"
    installed = importlib.util.find_spec("amazon_kclpy")
    if installed is not None and installed.origin is not None:
        yield Path(installed.origin).parent / "jars"
