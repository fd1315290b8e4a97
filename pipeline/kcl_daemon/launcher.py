"""What KCL's daemon starts for a shard: it has a process forked for its line, and stands for that process.

    daemon ──starts──> launcher ──its line, arguments──> fork server ──forks──> the shard's process
                          ^                                   │
                          └──────────── exit code ────────────┘

The daemon sees a process that ends as the shard's does.  Who sends it SIGTERM sends it to the shard's process; who
kills it kills that too.

It is run as a file, ``python -I -S launcher.py FOLDER ARGUMENT…``, and imports nothing but a little of Python's own: a
Python process that imports what a shard needs takes two seconds, while all else of a new daemon wants the processor.
"""

import json
import os
import signal
import socket
import sys
import time

SOCKET = "fork-server"
"""In FOLDER."""
STOP = b"stop"
ANSWER_BYTES_MAX = 16
WAIT_SECONDS_MAX = 30.0
"""For a fork server that is just being started."""
NO_FORK_SERVER = 3
KILLED = 128
"""And the signal's number: how a process ends in a shell's eyes."""
_LOOK_SECONDS = 0.02


def main(folder: str, *arguments: str) -> int:
    """Have a process forked, and return its exit code."""
    os.chdir(folder)  # the name of a socket has a hundred characters at most
    with _connect() as server:
        socket.send_fds(server, [json.dumps(arguments).encode()], [0, 1, 2])
        signal.signal(signal.SIGTERM, lambda _number, _frame: server.send(STOP))
        _let_go_of_the_line()
        answer = server.recv(ANSWER_BYTES_MAX)
    if not answer:
        print("the fork server has ended", file=sys.stderr)  # noqa: T201 - the daemon's supervisor makes it a log line
        return NO_FORK_SERVER
    code = int(answer)
    return code if code >= 0 else KILLED - code


def _connect() -> socket.socket:
    until = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(SOCKET)
        except (FileNotFoundError, ConnectionRefusedError):
            server.close()
            if time.monotonic() > until:
                sys.exit(f"no fork server at {os.path.abspath(SOCKET)} for {WAIT_SECONDS_MAX} s")  # noqa: PTH100
            time.sleep(_LOOK_SECONDS)
        else:
            return server


def _let_go_of_the_line() -> None:
    """Leave the line to the shard's process alone, whose end is then the line's end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
