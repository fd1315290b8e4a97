"""The demo in a test: the real processes, in a folder of their own, and what the test does to them meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from demo.run import WORKERS, Demo
from pipeline.system_clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from demo.fleet import Fleet
    from demo.report import Report
    from demo.run import Plan, Progress

SECONDS_MAX = 300.0
"""Of a whole run: far more than it takes, so that only what hangs is ended."""
LOOK_SECONDS = 0.02
EVERYBODY_ANSWERS = 3
"""A seed whose first hundred payments are all answered in time, so that a run need not wait for a deadline."""


class DemoUnderTest:
    """A demo, and how far it is."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.demo = Demo(plan, SystemClock(), self._note)
        self.settled = 0
        """How many payments have settled so far."""

    @property
    def fleet(self) -> Fleet:
        """The demo's processes; what they are to run can be changed before they do."""
        return self.demo.fleet

    def take_snapshots_every(self, seconds: float) -> None:
        """Let the workers take snapshots so often, and with them make their state durable."""
        for name in WORKERS:
            worker = self.fleet.member(name)
            worker.settings = {**worker.settings, "PAYMENTS_WORKER_SNAPSHOT_SECONDS": str(seconds)}

    def run(self, meanwhile: Coroutine[None, None, None] | None = None) -> Report:
        """Run the demo to its end, and ``meanwhile`` beside it; return the demo's report."""
        return asyncio.run(asyncio.wait_for(self._run(meanwhile), SECONDS_MAX))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when ``condition`` holds; if it never does, the end of the run is the end of the wait."""
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(LOOK_SECONDS)

    async def _run(self, meanwhile: Coroutine[None, None, None] | None) -> Report:
        async with asyncio.TaskGroup() as tasks:
            beside = None if meanwhile is None else tasks.create_task(meanwhile)
            report = await self.demo.run()
            if beside is not None:
                beside.cancel()
        return report

    def _note(self, progress: Progress) -> None:
        self.settled = progress.counts.settled
