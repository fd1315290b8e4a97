"""Event-time deadlines: events that an agent hands to itself, later.

Timers are state.  They fire in (due, key, event) order when the shard's time reaches them, before the record that
moved it is handled, and a shard that starts with timers overdue fires them at its first record.  All of a shard's
timers are in memory: the application bounds how many payments are open at once.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from struct import Struct
from typing import TYPE_CHECKING

from pipeline.kernel import keys

if TYPE_CHECKING:
    from pipeline.kernel.tables import Changes
    from pipeline.ports import StateStore

EncodedEvent = tuple[int, int, bytes]
_HEADER = Struct(">qHH")
_NEVER = 1 << 63
_STALE_MAX = 64


class Timers:
    """The deadlines of one shard; a key has 16 bytes of hash in front, and at most one timer."""

    def __init__(self, store: StateStore) -> None:
        self._timers: dict[bytes, tuple[int, EncodedEvent]] = {}
        self._changed: dict[bytes, None] = {}
        for row, data in store.scan(keys.TIMER, keys.after_prefix(keys.TIMER)):
            due_us, kind, version = _HEADER.unpack_from(data)
            self._timers[row[1:]] = (due_us, (kind, version, data[_HEADER.size :]))
        self._order()
        self.next_due_us = self._heap[0][0] if self._heap else _NEVER
        """No timer is due before this."""

    def __len__(self) -> int:
        return len(self._timers)

    def set(self, due_us: int, key: bytes, event: EncodedEvent) -> None:
        """Keep ``event`` until ``due_us``, in place of what was there under ``key``."""
        due_us = max(0, min(due_us, _NEVER - 1))
        self._timers[key] = (due_us, event)
        self._changed[key] = None
        if len(self._heap) > 2 * len(self._timers) + _STALE_MAX:
            self._order()
        else:
            heappush(self._heap, (due_us, key))
        self.next_due_us = self._heap[0][0]

    def cancel(self, key: bytes) -> None:
        """Forget the timer under ``key``, if there is one."""
        if self._timers.pop(key, None) is not None:
            self._changed[key] = None

    def pop_due(self, now_us: int) -> tuple[bytes, EncodedEvent] | None:
        """Take out and return the (key, event) that is due first, or None if none is due by ``now_us``."""
        heap = self._heap
        while heap and heap[0][0] <= now_us:
            due_us, key = heappop(heap)
            timer = self._timers.get(key)
            if timer is not None and timer[0] == due_us:
                del self._timers[key]
                self._changed[key] = None
                return key, timer[1]
        self.next_due_us = heap[0][0] if heap else _NEVER
        return None

    def collect(self, changes: Changes) -> None:
        """Move what was set, cancelled or fired into ``changes``; called by the commit."""
        for key in self._changed:
            timer = self._timers.get(key)
            if timer is None:
                changes[keys.TIMER + key] = None
            else:
                due_us, (kind, version, body) = timer
                changes[keys.TIMER + key] = _HEADER.pack(due_us, kind, version) + body
        self._changed.clear()

    def _order(self) -> None:
        """Order the timers anew, without those that were replaced or cancelled."""
        self._heap = [(due_us, key) for key, (due_us, _) in self._timers.items()]
        heapify(self._heap)
