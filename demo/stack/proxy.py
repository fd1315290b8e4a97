"""The fault proxy as a process of the stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from demo.fleet import Member
from demo.lag import free_port
from demo.stack.emulators import START_SECONDS_MAX, until_listens
from demo.stack.fault_proxy import Rates
from pipeline.ports import Clock


class Proxy:
    """A fault proxy in front of the port of Kinesis."""

    def __init__(self, folder: Path, upstream_port: int, rates: Rates, seed: int) -> None:
        self.port = free_port()
        self._statistics = folder / "faults.json"
        faults = (f"--{fault}={rate}" for fault, rate in rates._asdict().items())
        ports = (str(self.port), str(upstream_port))
        arguments = ("demo.stack.fault_proxy", *ports, str(self._statistics), f"--seed={seed}", *faults)
        self.member = Member("fault-proxy", arguments, folder / "fault-proxy.log", is_vital=True)

    async def until_ready(self, clock: Clock) -> None:
        """Return when it takes connections."""
        until_us = clock.now_us() + round(START_SECONDS_MAX * 1_000_000)
        await until_listens(self.member, self.port, clock, until_us)

    def happened(self) -> Mapping[str, int]:
        """Return how often it did what, up to a second ago."""
        return dict(json.loads(self._statistics.read_text("utf-8")))
