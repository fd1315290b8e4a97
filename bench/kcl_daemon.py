"""Speaks as KCL's daemon does: ``python -m bench.kcl_daemon FILE`` says a line, and waits for its answer."""

from __future__ import annotations

import sys
from pathlib import Path


def main(lines: Path) -> None:
    """Say every line of a file, one behind the answer to the other."""
    with lines.open("rb") as file:
        for line in file:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            while not sys.stdin.buffer.readline().strip():
                pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
