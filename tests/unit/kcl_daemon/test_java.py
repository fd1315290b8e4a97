"""What is missing for a daemon is named, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.kcl_daemon import class_archive, java
from pipeline.kcl_daemon.errors import DaemonSetupError
from pipeline.settings import KclSettings


@pytest.fixture
def installed(tmp_path: Path) -> KclSettings:
    program, jars = tmp_path / "java", tmp_path / "jars"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    jars.mkdir()
    (jars / "amazon-kinesis-client-multilang-3.1.3.jar").touch()
    return KclSettings(java=str(program), jars=str(jars), heap_mib=100)


def test_a_daemon_is_java_with_all_jars_in_its_memory(installed: KclSettings) -> None:
    command = java.command(installed, Path("a.properties"), Path("logback.xml"))

    assert command[0] == installed.java
    assert "-Xmx100m" in command
    assert command[command.index("-cp") + 1] == f"{installed.jars}/*"
    assert [*command[-5:]] == [class_archive.MAIN_CLASS, "-p", "a.properties", "-l", "logback.xml"]


def test_a_daemon_begins_with_the_archive_of_its_classes_if_there_is_one(installed: KclSettings) -> None:
    archive = Path(installed.jars) / class_archive.ARCHIVE
    without = java.command(installed, Path("a.properties"), Path("logback.xml"))
    archive.touch()

    command = java.command(installed, Path("a.properties"), Path("logback.xml"))

    assert not any("SharedArchiveFile" in word for word in without)
    assert command[command.index("-cp") - 3] == f"-XX:SharedArchiveFile={archive}"


def test_java_and_jars_that_are_missing_are_both_named_with_what_to_do(tmp_path: Path) -> None:
    settings = KclSettings(java="no-such-java", jars=str(tmp_path))

    with pytest.raises(DaemonSetupError) as error:
        java.command(settings, Path("a.properties"), Path("logback.xml"))

    assert "no 'no-such-java' on the PATH: install Java 17, or name it in PAYMENTS_KCL_JAVA" in str(error.value)
    assert f"in {tmp_path}: run make kcl, or name the jars' folder in PAYMENTS_KCL_JARS" in str(error.value)
