"""Where the tools are that are no Python packages, made once for all checkouts of a machine.

    ${XDG_CACHE_HOME:-~/.cache}/payments-on-streams/TOOL-DIGEST

The digest is of the file that names every part of the tool with its hash, so a tool that changes is another folder.
Make asks for it: ``python -m pipeline.tool_cache TOOL LOCK``.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path

DIGEST_CHARACTERS = 12


def folder(tool: str, lock: Path) -> Path:
    """Return the folder of ``tool``, whether it is there or not; ``FileNotFoundError`` if ``lock`` is not."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = sha256(lock.read_bytes()).hexdigest()[:DIGEST_CHARACTERS]
    return home / "payments-on-streams" / f"{tool}-{digest}"


if __name__ == "__main__":
    print(folder(sys.argv[1], Path(sys.argv[2])))  # noqa: T201 - make reads it
