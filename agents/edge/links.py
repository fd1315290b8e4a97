"""The process of the links: an inbox for what participants post, and turns between it, the log and the wire."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.edge.participant_addresses import read_addresses
from agents.edge.participant_links import ParticipantLinks
from agents.edge.process import Stop, Turns, edge_arguments, run_process
from agents.edge.vault.to_come import VaultToCome
from agents.edge.wire.http_wire import HttpWire
from agents.edge.wire.inbox import Inbox
from pipeline.stream_logs.naming import open_log

if TYPE_CHECKING:
    from pipeline.ports import Clock

PORT_DEFAULT: Final = 9020
IDLE_SECONDS: Final = 0.01

logger = logging.getLogger("payments.edge.links")


async def _main(clock: Clock, stop: Stop, options: argparse.Namespace) -> None:
    addresses = read_addresses(options.addresses)
    log = open_log(options.log, clock)
    vault = None if options.vault is None else VaultToCome(options.vault)
    wire = HttpWire()
    links = ParticipantLinks(log, clock, options.data, wire, addresses, vault)
    inbox = Inbox(links.take)
    try:
        await links.start()
        await inbox.open(options.host, options.port)
        await Turns(clock, stop, options.seconds, IDLE_SECONDS).run(links.turn)
        logger.info("stopped; %d payments sent, %d answers put by this run", links.sent, links.answered)
    finally:
        await links.close()
        await inbox.close()
        await wire.close()
        if vault is not None:
            vault.close()
        log.close()


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    options = edge_arguments("Connect the clearing with its participants, over HTTP.")
    options.add_argument("--addresses", required=True, type=Path, metavar="FILE", help="where participants are: TOML")
    options.add_argument("--host", default="127.0.0.1", help="where to listen for participants (default: loopback)")
    options.add_argument("--port", type=int, default=PORT_DEFAULT, help=f"(default: {PORT_DEFAULT})")
    options.add_argument("--vault", type=Path, default=None, metavar="DIR", help="the gateway's vault, if there is one")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the links; return the exit code."""
    options = parser().parse_args(arguments)
    return run_process(lambda clock, stop: _main(clock, stop, options))


if __name__ == "__main__":
    sys.exit(main())
