"""Structured logs: one JSON object a line on stderr.

    {"at": "2026-01-31T12:00:00.123456Z", "level": "error", "logger": "…", "message": "…", "stage": "…", "shard": "…"}

What is said goes into the message and what it is about into fields, passed as ``extra=about(stage=…, shard=…)``.

An account number is never logged.  Events carry tokens, so none should come this far; what looks like one all the same
(an IBAN, or a British sort code with its account) is masked before it is written, in messages, fields and tracebacks.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

_FIELDS = "about"
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SORT_CODE_AND_ACCOUNT = re.compile(r"\b\d{2}-\d{2}-\d{2}[ /]?\d{8}\b")
_MASK = "[account]"
_LIBRARIES = {
    "faust": logging.WARNING,
    "faust.agents.actor": logging.CRITICAL,  # that an agent died; the worker says it with its shard and position
    "mode": logging.WARNING,
    "aiokafka": logging.WARNING,
    "asyncio": logging.WARNING,
    "botocore": logging.WARNING,
}
"""What libraries say below these levels is left out."""


def about(**fields: object) -> dict[str, dict[str, object]]:
    """Return what a log call takes as ``extra``: the things that the line is about."""
    return {_FIELDS: fields}


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, _FIELDS, {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return mask_accounts(json.dumps(line, ensure_ascii=False, default=str))


def mask_accounts(text: str) -> str:
    """Return ``text`` with what looks like an account number masked."""
    return _SORT_CODE_AND_ACCOUNT.sub(_MASK, _IBAN.sub(_MASK, text))


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all logs of the process to ``stream`` (stderr) as JSON lines; called once, by who starts the process."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))
