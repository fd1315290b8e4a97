"""Makes the archive of KCL's classes that a daemon starts with: ``python -m pipeline.kcl_daemon.class_archive JARS``.

A cold JVM spends most of a daemon's start on reading and verifying six thousand classes.  From an archive, which the
JVM of this machine makes of a run (class data sharing), it has them at half the cost.  The run is a daemon that looks
for its tables where nobody answers: it comes by nearly all classes before it gives up.

An archive is of one JVM and of one folder of jars.  To any other it is nothing, and its daemons start as without.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

MAIN_CLASS = "software.amazon.kinesis.multilang.MultiLangDaemon"
ARCHIVE = "classes.jsa"
"""Beside the jars."""
QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")
"""Nobody has to be told of classes that no archive can have, or of another JVM's archive."""
_RUN_SECONDS = 12
_ARCHIVE_SECONDS_MAX = 60
_NOBODY = "http://127.0.0.1:1"
_PROPERTIES = f"""\
executableName = /bin/false
applicationName = class-archive
streamName = class-archive
regionName = eu-west-1
workerId = class-archive
processingLanguage = python
AwsCredentialsProvider = DefaultCredentialsProvider
initialPositionInStream = TRIM_HORIZON
metricsLevel = NONE
kinesisEndpoint = {_NOBODY}
dynamoDBEndpoint = {_NOBODY}
"""


def make(java: str, jars: Path) -> Path:
    """Make the archive for the jars in ``jars``, and return it; ``RuntimeError`` if there is none in the end."""
    archive = jars / ARCHIVE
    archive.unlink(missing_ok=True)
    with TemporaryDirectory() as folder:
        properties = Path(folder) / "properties"
        properties.write_text(_PROPERTIES, "utf-8")
        said = Path(folder) / "said"
        with said.open("wb") as output:
            daemon = subprocess.Popen(  # noqa: S603 - Java, with arguments of our own
                [java, f"-XX:ArchiveClassesAtExit={archive}", *QUIET, "-cp", f"{jars}/*", MAIN_CLASS, "-p", properties],
                stdout=output,
                stderr=output,
                env={**os.environ, "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nobody"},
            )
            try:
                daemon.wait(_RUN_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.terminate()
            daemon.wait(_ARCHIVE_SECONDS_MAX)
        if not archive.exists():
            raise RuntimeError(f"{java} made no archive of the classes in {jars}: {said.read_text('utf-8', 'replace')}")
    return archive


if __name__ == "__main__":
    if (found := shutil.which("java")) is None:
        sys.exit("no java on the PATH: install Java 17 to make an archive of KCL's classes")
    make(found, Path(sys.argv[1]).resolve())
