"""``payments chaos``: real processes are killed while payments move, and an auditor goes through what they did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.failures import COULD_NOT_BE_DONE, finite


def chaos(
    seconds: Annotated[float, typer.Option(min=1, callback=finite, help="How long payments are submitted.")] = 180.0,
    tps: Annotated[float, typer.Option(min=0.1, callback=finite, help="Payments submitted a second.")] = 200.0,
    shards: Annotated[int, typer.Option(min=2, max=16, help="Shards of each stream, at first.")] = 2,
    seed: Annotated[int, typer.Option(help="Payments, answers, kills and faults are drawn from it.")] = 1,
    kill_seconds: Annotated[float, typer.Option(min=1, callback=finite, help="From one kill -9 to the next.")] = 20.0,
    dropped: Annotated[float, typer.Option(min=0, max=1, help="Share of requests done and not answered.")] = 0.01,
    refused: Annotated[float, typer.Option(min=0, max=1, help="Share of requests throttled or failed.")] = 0.005,
    slow: Annotated[float, typer.Option(min=0, max=1, help="Share of requests answered a second late.")] = 0.005,
    data: Annotated[
        Path | None, typer.Option(help="Keep the run here. Default: a temporary folder, removed if all is well.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object on stdout.")] = False,
) -> None:
    """Kill workers, daemons and shards, split and merge, and drop replies; then audit every payment and posting.

    Runs what `payments demo --on kinesis` runs. Ends with 0 if nothing was lost, nothing happened twice, and the replay
    equals the live run; with 1 if not; with 3 if it could not be run to its end.
    """
    import json as json_format
    from functools import partial

    from rich.console import Console

    from demo.errors import RunError
    from demo.folder import folder_of_run
    from demo.live import LiveView, print_chaos, print_report
    from demo.run import Plan, run_demo
    from demo.stack.chaos import Chaos
    from demo.stack.fault_proxy import Rates
    from demo.stack.site import KinesisSite
    from demo.stopping import stopped_by_sigterm
    from pipeline.system_clock import SystemClock

    console = Console(stderr=True)
    clock = SystemClock()
    tell = partial(console.print, soft_wrap=True)
    with stopped_by_sigterm(), folder_of_run(data, "chaos", tell) as folder:
        plan = Plan(folder, seconds, tps, shards, seed)
        happened = Chaos(plan, clock, kill_seconds, lambda what: console.print(what, highlight=False))
        try:
            site = KinesisSite(plan.folder, clock, Rates(dropped, refused, slow), seed)
            with LiveView(console) as view:
                report = run_demo(plan, clock, view.show, site, happened)
            faults = site.proxy.happened() if site.proxy else {}
        except RunError as failure:
            console.print(f"the run could not be finished: {failure}", style="bold red", markup=False)
            raise typer.Exit(COULD_NOT_BE_DONE) from None
        print_report(report, console)
        print_chaos(happened.result, faults, console)
        if json:
            typer.echo(json_format.dumps({**report.as_json(), **happened.result.as_json(), "faults": dict(faults)}))
        if not report.good or happened.result.problems:
            raise typer.Exit(1)
