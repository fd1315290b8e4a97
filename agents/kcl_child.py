"""The process that the KCL daemon runs for one shard; its command line is made by ``agents.kcl``.

stdout is the line to the daemon, and a single word of anybody else's on it breaks that.  So it is taken away before
anything else is imported, and whatever is printed goes to stderr.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Take stdout, then serve the daemon."""
    to_daemon = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from agents.kcl import run_payment_shard  # noqa: PLC0415 - see above
    from pipeline.settings import load_settings  # noqa: PLC0415

    return run_payment_shard(sys.argv[1:], to_daemon, load_settings(os.environ))


if __name__ == "__main__":
    sys.exit(main())
