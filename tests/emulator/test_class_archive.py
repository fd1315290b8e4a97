"""Java takes the archive that was made for its folder of jars, and would tell if it did not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.kcl_daemon import class_archive
from tests.emulator.kcl_under_test import JARS, skip_unless_installed

pytestmark = [pytest.mark.emulator, pytest.mark.kcl, pytest.mark.slow]

MINUTE = 60.0


def starts(archive: Path, jars: Path) -> bool:
    """Say whether Java starts with ``archive`` where it is told not to start without."""
    java = ["java", "-Xshare:on", f"-XX:SharedArchiveFile={archive}", "-cp", f"{jars}/*", "-version"]
    return subprocess.run(java, capture_output=True, timeout=MINUTE, check=False).returncode == 0


def test_java_takes_the_archive_for_the_jars_that_it_is_of_and_for_no_others(tmp_path: Path) -> None:
    skip_unless_installed()
    for folder in ("jars", "others"):
        (tmp_path / folder).mkdir()
        for jar in JARS.glob("*.jar"):
            (tmp_path / folder / jar.name).symlink_to(jar)
    (tmp_path / "others" / "a.jar").symlink_to(next(JARS.glob("slf4j-api-*.jar")))

    archive = class_archive.make(str(shutil.which("java")), tmp_path / "jars")

    assert starts(archive, tmp_path / "jars")
    assert not starts(archive, tmp_path / "others")
