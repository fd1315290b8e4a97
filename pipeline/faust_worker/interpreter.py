"""Keeps the interpreter from making payments wait: the garbage collector's pauses, and threads that hold the GIL.

A full collection looks at every object there is.  State that is kept decoded is many objects: 30,000 rows take it
100 ms, and a worker has ten times that.  It finds nothing: what a batch leaves in cycles is young, and the collections
of young objects, which take microseconds, find it.  So full collections do not run by themselves.  What is old and in
cycles is a shard that was given up, and behind that one is run.

A snapshot is digested in a thread, which holds the GIL for a switch interval each time that the event loop wants to go
on: 5 ms by default, several times in a hop.
"""

from __future__ import annotations

import gc
import sys

SWITCH_SECONDS = 0.0005
_YOUNG_OBJECTS_MAX = 700
_YOUNG_COLLECTIONS_MAX = 10
_NEVER = 1_000_000_000


def prepare() -> None:
    """Set the interpreter of a worker's process up, once everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS_MAX, _YOUNG_COLLECTIONS_MAX, _NEVER)
    sys.setswitchinterval(SWITCH_SECONDS)


def forget_shard() -> None:
    """Free what a shard that was given up has left behind."""
    gc.collect()
