"""``payments chaos``: real processes are killed while payments move, and an auditor goes through what they did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def chaos(
    seconds: Annotated[float, typer.Option(min=1, help="How long payments are submitted.")] = 180.0,
    tps: Annotated[float, typer.Option(min=0.1, help="Payments submitted a second.")] = 200.0,
    shards: Annotated[int, typer.Option(min=2, max=16, help="Shards of each stream, at first.")] = 2,
    seed: Annotated[int, typer.Option(help="Payments, answers, kills and faults are drawn from it.")] = 1,
    kill_seconds: Annotated[float, typer.Option(min=1, help="From one kill -9 to the next.")] = 20.0,
    dropped: Annotated[float, typer.Option(min=0, max=1, help="Share of requests done and not answered.")] = 0.01,
    refused: Annotated[float, typer.Option(min=0, max=1, help="Share of requests throttled or failed.")] = 0.005,
    slow: Annotated[float, typer.Option(min=0, max=1, help="Share of requests answered a second late.")] = 0.005,
    data: Annotated[Path | None, typer.Option(help="Keep the run here. Default: a temporary folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object on stdout.")] = False,
) -> None:
    """Kill workers, daemons and shards, split and merge, and drop replies; then audit every payment and posting.

    Runs what `payments demo --on kinesis` runs. Ends with 0 if nothing was lost, nothing happened twice, and the replay
    equals the live run; with 1 if not; with 3 if it could not be run to its end.
    """
    import json as json_format
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from demo.fleet import MemberFailedError
    from demo.folder import FolderInUseError
    from demo.live import LiveView, print_chaos, print_report
    from demo.run import DrainError, Plan, StartError, run_demo
    from demo.stack.chaos import Chaos
    from demo.stack.fault_proxy import Rates
    from demo.stack.needed import NotInstalledError
    from demo.stack.site import KinesisSite
    from demo.stopping import stopped_by_sigterm
    from pipeline.system_clock import SystemClock

    console = Console(stderr=True)
    clock = SystemClock()
    with stopped_by_sigterm(), TemporaryDirectory(prefix="payments-chaos-") as temporary:
        plan = Plan(data or Path(temporary), seconds, tps, shards, seed)
        happened = Chaos(plan, clock, kill_seconds, lambda what: console.print(what, highlight=False))
        try:
            site = KinesisSite(plan.folder, clock, Rates(dropped, refused, slow), seed)
            with LiveView(console) as view:
                report = run_demo(plan, clock, view.show, site, happened)
            faults = site.proxy.happened() if site.proxy else {}
        except (DrainError, FolderInUseError, MemberFailedError, NotInstalledError, StartError) as failure:
            console.print(f"the run could not be finished: {failure}", style="bold red", markup=False)
            raise typer.Exit(3) from None
    print_report(report, console)
    print_chaos(happened.result, faults, console)
    good = report.good and not happened.result.problems
    if json:
        typer.echo(json_format.dumps({**report.as_json(), **happened.result.as_json(), "faults": dict(faults)}))
    raise typer.Exit(0 if good else 1)
