"""The participants of a run, in a process of their own, and the links that reach them over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from agents.edge.participant_addresses import write_addresses
from agents.edge.wire.inbox import MESSAGES_PATH
from agents.edge.workload.control import listings
from demo.lag import free_port


class Ends(NamedTuple):
    """Where the two ends of all links listen, on the loopback interface."""

    links_port: int
    participants_port: int
    addresses_file: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Ends:
        """Choose ports, and write down in ``folder`` where every participant is."""
        ends = cls(free_port(), free_port(), folder / "participants.toml")
        write_addresses(ends.addresses_file, {ends.participants_address: [each.bic for each in listings()]})
        return ends

    @property
    def participants_address(self) -> str:
        """Where the clearing's messages go."""
        return _address(self.participants_port)

    @property
    def links_options(self) -> tuple[str, ...]:
        """What the links are told."""
        return ("--addresses", str(self.addresses_file), "--port", str(self.links_port))

    @property
    def participants_options(self) -> tuple[str, ...]:
        """What the participants are told."""
        return ("--clearing", _address(self.links_port), "--port", str(self.participants_port))


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}{MESSAGES_PATH}"
