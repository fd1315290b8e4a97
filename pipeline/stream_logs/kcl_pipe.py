"""The line to the KCL daemon: one message at a time, kept until it is answered.

A message that was not answered is received again by whoever asks next.  So a shard that failed is made anew in the
same process, beside the same daemon, and finds the message in hand as the first one.

What comes in is read by a thread, as nothing else reads a pipe while the event loop goes on.  The daemon's end is its
end; the thread then calls ``at_end``, which may end the process if nobody else does.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO

from pipeline.errors import LogError
from pipeline.stream_logs import kcl

if TYPE_CHECKING:
    from collections.abc import Callable


class DaemonGoneError(LogError):
    """The KCL daemon has closed the line: it died, or has no more use for this process."""


class DaemonPipe:
    """Receives the daemon's messages and answers them."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO, at_end: Callable[[], None] = lambda: None) -> None:
        """Begin to read; to be called in the event loop that asks for messages."""
        self._incoming = incoming
        self._outgoing = outgoing
        self._at_end = at_end
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._in_hand: kcl.Message | None = None
        self._loop = asyncio.get_running_loop()
        self.shard_id: str | None = None
        """The shard of this process, once the daemon has named it."""
        self.closed = False
        """True when the daemon has closed the line; messages that came before may still be there."""
        Thread(target=self._read, name="kcl daemon", daemon=True).start()

    async def receive(self) -> kcl.Message | None:
        """Return the message in hand, or the next one; None when there will be none."""
        if self._in_hand is None:
            line = await self._next_line()
            if line is None:
                return None
            message = kcl.decode(line)
            if isinstance(message, kcl.Initialize):
                self.shard_id = message.shard_id
            self._in_hand = message
        return self._in_hand

    def answer(self) -> None:
        """Say that the message in hand was dealt with: everything in it is committed."""
        if self._in_hand is None:
            raise LogError("there is no message of the KCL daemon to answer")
        self._say(kcl.status(self._in_hand.action))
        self._in_hand = None

    async def checkpoint(self, line: bytes) -> str | None:
        """Ask for a checkpoint, with a line of ``kcl``'s; return why it was not made, or None if it was."""
        if self._in_hand is None:
            raise LogError("the KCL daemon listens only until its message is answered")
        self._say(line)
        answer = await self._next_line()
        if answer is None:
            raise DaemonGoneError("the KCL daemon ended while it was asked for a checkpoint")
        message = kcl.decode(answer)
        if not isinstance(message, kcl.CheckpointAnswer):
            raise LogError(f"the KCL daemon answered a checkpoint with {message.action!r}")
        return message.error

    async def _next_line(self) -> bytes | None:
        if self.closed and self._lines.empty():
            return None
        return await self._lines.get() or None

    def _say(self, line: bytes) -> None:
        """Write; a daemon that died meanwhile is found out by the end of what it says."""
        with suppress(BrokenPipeError):
            self._outgoing.write(line)
            self._outgoing.flush()

    def _read(self) -> None:
        for line in self._incoming:
            if line.strip():
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
        with suppress(RuntimeError):  # the loop has ended before
            self._loop.call_soon_threadsafe(self._close)
        self._at_end()

    def _close(self) -> None:
        self.closed = True
        self._lines.put_nowait(b"")
