"""One log of what three kinds of process say.

    the supervisor     JSON lines, by itself
    a child            JSON lines on its stderr, which the daemon passes on as they are
    the daemon         level, logger and message, as ``LOGBACK`` has it: made JSON lines here

What is none of these - a traceback at a child's start, a word of the JVM's - is a warning, whole.  The daemon would
also log each line of a child as an error of its own; that logger is off, and so are some that tell nothing.
"""

from __future__ import annotations

import json
import logging
import sys

from pipeline.observe.logging import about, mask_accounts

LOGBACK = r"""<configuration>
  <appender name="lines" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%level\t%logger\t%replace(%msg %ex){'[\r\n\t]+', ' | '}%nopex%n</pattern></encoder>
  </appender>
  <logger name="software.amazon.kinesis.multilang.DrainChildSTDERRTask" level="OFF"/>
  <logger name="software.amazon.kinesis.metrics" level="ERROR"/>
  <logger name="software.amazon.kinesis.worker.WorkerMetricsSelector" level="ERROR"/>
  <root level="WARN"><appender-ref ref="lines"/></root>
</configuration>
"""

_PARTS = 3
_LEVELS = {"TRACE": logging.DEBUG, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING}
_log = logging.getLogger(__name__)


def tell(stage: str, line: str) -> None:
    """Write one line of the daemon of ``stage``, or of one of its children."""
    line = line.rstrip()
    if _is_json(line):
        sys.stderr.write(mask_accounts(line) + "\n")
        return
    parts = line.split("\t", _PARTS - 1)
    if len(parts) == _PARTS:
        level, name, message = parts
        _log.log(_LEVELS.get(level, logging.ERROR), "%s", message.rstrip(), extra=about(stage=stage, daemon=name))
    else:
        _log.warning("the daemon or a child says: %s", line, extra=about(stage=stage))


def _is_json(text: str) -> bool:
    if not text.startswith('{"at"'):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
