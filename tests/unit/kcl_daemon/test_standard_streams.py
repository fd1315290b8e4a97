"""The line to the daemon has on it what was meant for it, and its process can end at any time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHILD = """
import os, sys, threading
from pipeline.kcl_daemon import standard_streams
from_daemon, to_daemon = standard_streams.take()
print("a library says hello")
os.write(1, b"and so does one in C")
heard = threading.Event()

def listen():
    for line in from_daemon:
        to_daemon.write(b"heard " + line)
        to_daemon.flush()
        heard.set()

threading.Thread(target=listen, daemon=True).start()
heard.wait()
assert sys.stdin.read() == ""
sys.exit(3)
"""


def test_only_what_is_meant_for_the_daemon_reaches_it_and_a_process_ends_while_it_listens() -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(b"a message\n")
        child.stdin.flush()
        said, printed = child.stdout.read(), child.stderr.read()
        assert child.wait() == 3, printed
        child.stdin.close()
    assert said == b"heard a message\n"
    assert b"a library says hello" in printed
    assert b"and so does one in C" in printed
