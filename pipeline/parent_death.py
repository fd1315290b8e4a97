"""Has the kernel end a process whose parent is gone, so that no process is left behind by one that was killed.

Linux only; elsewhere nothing is asked for.  It is for the parent's main thread to start such a process: what the kernel
looks at is the thread.
"""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def stop_with_parent() -> None:
    """Have SIGTERM sent to this process when its parent dies; for ``preexec_fn``, as it takes no lock."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
