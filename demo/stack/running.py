"""The stack left running: started as a demo is, looked after until its time is over, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from demo.run import Demo, Plan
from demo.stack.prometheus import prometheus
from demo.stack.site import TABLE, KinesisSite
from pipeline.ports import Clock


async def run_stack(plan: Plan, clock: Clock, tell: Callable[[str], None]) -> None:
    """Run the stack for the seconds of ``plan``, and tell where its parts are."""
    site = KinesisSite(plan.folder, clock)
    demo = Demo(plan, clock, lambda _: None, site)
    watching = prometheus(plan.folder / "services", demo.ports)
    if watching is not None:
        demo.fleet.members.append(watching[0])
    tell(f"starting in {plan.folder}; KCL takes half a minute")
    async with demo.running():
        for name in ("KINESIS", "DYNAMODB"):
            tell(f"{name.capitalize():<10} {site.environment[f'AWS_ENDPOINT_URL_{name}']}")
        tell(f"{'S3':<10} {site.environment['AWS_ENDPOINT_URL']}")
        for name, port in demo.ports.items():
            tell(f"{name:<10} http://127.0.0.1:{port}/health and /metrics")
        tell(f"{'prometheus':<10} {watching[1] if watching else 'is not installed'}")
        tell(f"{'payments':<10} in DynamoDB's table {TABLE}, by the key payment/ID")
        tell(f"{'output':<10} {plan.folder / 'processes'}")
        tell(f"payments move for {plan.seconds / 60:.1f} minutes; Ctrl-C stops everything")
        until_us = clock.now_us() + round(plan.seconds * 1_000_000)
        while clock.now_us() < until_us:
            site.services.look_after()
            demo.fleet.look_after()
            await asyncio.sleep(1)
