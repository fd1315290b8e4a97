"""S3 and KMS on this machine: moto's server, as a process, until SIGTERM.

Not its Kinesis, which loses acknowledged records, nor its DynamoDB, which takes seconds to scan a few thousand items.
"""

from __future__ import annotations

import logging
import signal
import sys


def main() -> int:
    """Serve on the port of the command line."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - a tool of development: the rest does without it

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
    server.start()
    signal.sigwait(stopping)
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
