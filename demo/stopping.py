"""SIGTERM ends a run as Ctrl-C does: by an exception, so that every process that it started is ended first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the main thread on SIGTERM, also where a shell has SIGINT ignored."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
