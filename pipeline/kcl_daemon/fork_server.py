"""Forks the process of a shard from one that has imported everything; ``launcher.py`` shows who asks for it.

Each of a worker's shards needs the same code.  The fork server imports it once, before the first shard is there, and
has no thread and no connection that a fork could break.  So a shard's process is there in milliseconds, whatever else
the machine has to do just then, and shares the memory of what was imported.

    stdin of the server ends      its supervisor is gone, or wants it to end: each process that was forked is sent
                                  SIGTERM, and the server ends behind the last one
    the server is killed          the kernel sends SIGTERM to each process that it has forked
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
from contextlib import chdir, closing, suppress
from dataclasses import dataclass
from functools import partial
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING

from pipeline import parent_death
from pipeline.kcl_daemon import launcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Arguments = Sequence[str]

_STDIN = 0
_LINE = 3
"""stdin, stdout and stderr."""
_REQUEST_BYTES_MAX = 1 << 16


def serve(folder: Path) -> Arguments | None:
    """Serve the launchers of ``folder`` until stdin ends.

    Returns once in each process that is forked, with its launcher's arguments and on its launcher's standard streams,
    and in the end, with None, in the server.
    """
    gc.collect()
    gc.freeze()  # what the collector does not touch stays shared
    with closing(_ForkServer(folder)) as server:
        return server.run()


@dataclass(frozen=True, slots=True)
class _Forked:
    """A process, its launcher, and a pipe that ends when the process does."""

    pid: int
    launcher: socket.socket
    life: int


class _ForkServer:
    def __init__(self, folder: Path) -> None:
        self._listener = _listen(folder)
        self._selector = DefaultSelector()
        self._launchers: set[socket.socket] = set()
        self._forked: set[_Forked] = set()
        self._stopping = False
        self._when_readable(_STDIN, self._stop)
        self._when_readable(self._listener, self._accept)

    def close(self) -> None:
        """Let go of every file; in a process that was forked, this is all that is left of the server there."""
        self._selector.close()
        self._listener.close()
        for launcher_socket in self._launchers:
            launcher_socket.close()
        for forked in self._forked:
            os.close(forked.life)

    def run(self) -> Arguments | None:
        while not self._stopping or self._forked:
            key, _ = self._selector.select()[0]  # one at a time, as it may make the others void
            arguments: Arguments | None = key.data()
            if arguments is not None:
                return arguments
        return None

    def _when_readable(self, file: int | socket.socket, act: Callable[[], Arguments | None]) -> None:
        self._selector.register(file, EVENT_READ, act)

    def _stop(self) -> None:
        self._stopping = True
        self._selector.unregister(_STDIN)
        self._selector.unregister(self._listener)
        self._listener.close()
        for forked in self._forked:
            os.kill(forked.pid, signal.SIGTERM)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._launchers.add(connection)
        self._when_readable(connection, partial(self._fork, connection))

    def _fork(self, connection: socket.socket) -> Arguments | None:
        """Fork for the launcher that asks; return its arguments in the new process."""
        self._selector.unregister(connection)
        request, line, _, _ = socket.recv_fds(connection, _REQUEST_BYTES_MAX, _LINE)
        if not request:
            self._forget(connection)
            return None
        life, held = os.pipe()
        pid = os.fork()
        if pid == 0:
            parent_death.stop_with_parent()
            for standard, given in enumerate(line):
                os.dup2(given, standard)
                os.close(given)
            os.close(life)
            return [str(argument) for argument in json.loads(request)]
        for file in (held, *line):
            os.close(file)
        forked = _Forked(pid, connection, life)
        self._forked.add(forked)
        self._when_readable(life, partial(self._reap, forked))
        self._when_readable(connection, partial(self._listen_to, forked))
        return None

    def _listen_to(self, forked: _Forked) -> None:
        if forked.launcher.recv(len(launcher.STOP)):
            os.kill(forked.pid, signal.SIGTERM)
        else:
            self._selector.unregister(forked.launcher)
            os.kill(forked.pid, signal.SIGKILL)

    def _reap(self, forked: _Forked) -> None:
        """Tell the launcher how its process has ended."""
        _, status = os.waitpid(forked.pid, 0)
        with suppress(BrokenPipeError):
            forked.launcher.send(str(os.waitstatus_to_exitcode(status)).encode())
        for file in (forked.life, forked.launcher):
            with suppress(KeyError):
                self._selector.unregister(file)
        os.close(forked.life)
        self._forked.remove(forked)
        self._forget(forked.launcher)

    def _forget(self, connection: socket.socket) -> None:
        self._launchers.remove(connection)
        connection.close()


def _listen(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    with chdir(folder):  # the name of a socket has a hundred characters at most
        with suppress(FileNotFoundError):
            os.unlink(launcher.SOCKET)  # noqa: PTH108 - of a server before; its folder is ours alone
        listener.bind(launcher.SOCKET)
    listener.listen()
    return listener
