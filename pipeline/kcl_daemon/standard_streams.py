"""The line to the daemon, taken out of the way of everybody else.

stdin and stdout are that line, and a single word of anybody's on it breaks it.  So both are taken away before anything
else is done: whatever is printed goes to stderr, and nobody reads what was meant for the line.  That they are files
of their own also lets a process end while a thread waits for the daemon's next word: of its own stdin Python would wait
for that thread, give up, and abort.
"""

from __future__ import annotations

import os
from typing import BinaryIO


def take() -> tuple[BinaryIO, BinaryIO]:
    """Return what comes from the daemon and what goes to it."""
    from_daemon, to_daemon = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return from_daemon, to_daemon
