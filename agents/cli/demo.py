"""``payments demo``: the whole system on this machine, watched, killed if you like, and proved."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.failures import COULD_NOT_BE_DONE, finite


class Place(StrEnum):
    """Where a demo can take place."""

    EMBEDDED = "embedded"
    KINESIS = "kinesis"


def demo(
    seconds: Annotated[float, typer.Option(min=0.1, callback=finite, help="How long payments are submitted.")] = 20.0,
    tps: Annotated[float, typer.Option(min=0.1, callback=finite, help="Payments submitted a second.")] = 500.0,
    shards: Annotated[int, typer.Option(min=1, max=64, help="Shards of each stream.")] = 4,
    seed: Annotated[int, typer.Option(help="The payments and the participants' answers are functions of it.")] = 1,
    on: Annotated[
        Place, typer.Option(help="The embedded log; or emulators of Kinesis, DynamoDB and S3, with workers run by KCL.")
    ] = Place.EMBEDDED,
    gateway: Annotated[
        bool, typer.Option("--gateway", help="Payments come in over HTTP, from simulated clients of a gateway.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Keep the run here; an interrupted one goes on. Default: a temporary folder, removed if all is well."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with plots into this folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object on stdout.")] = False,
) -> None:
    """Move payments from ingest to settlement on this machine, then replay them and compare.

    Kill any of its processes (kill -9): it is started again, and nothing is lost or moved twice. Ends with 0 if every
    record is accounted for, money is conserved and the replay equals the live run; with 1 if not; with 3 if it could
    not be run to its end.

    --on kinesis needs Java 17 and Node.js; `make demo-kinesis` fetches the rest. Its emulators keep everything in
    memory, so a run on them that is interrupted cannot go on.
    """
    import json as json_format
    from functools import partial

    from rich.console import Console

    from demo.errors import RunError
    from demo.folder import folder_of_run
    from demo.html import write_page
    from demo.live import LiveView, print_report
    from demo.run import Plan, run_demo
    from demo.site import EmbeddedSite
    from demo.stack.site import KinesisSite
    from demo.stopping import stopped_by_sigterm
    from pipeline.system_clock import SystemClock

    console = Console(stderr=True)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
    tell = partial(console.print, soft_wrap=True)
    with stopped_by_sigterm(), folder_of_run(data, "demo", tell) as folder:
        plan = Plan(folder, seconds, tps, shards, seed, gateway=gateway)
        if not plan.count:
            raise typer.BadParameter(f"no payment in {seconds} s at {tps}/s")
        console.print(
            f"{plan.count:,} payments at {tps:,.0f}/s over {shards} shards, in {folder}",
            highlight=False,
            soft_wrap=True,
        )
        clock = SystemClock()
        try:
            site = KinesisSite(folder, clock) if on is Place.KINESIS else EmbeddedSite(folder, clock)
            with LiveView(console) as view:
                result = run_demo(plan, clock, view.show, site)
        except RunError as failure:
            console.print(f"the demo could not be finished: {failure}", style="bold red", markup=False, soft_wrap=True)
            raise typer.Exit(COULD_NOT_BE_DONE) from None
        print_report(result, console)
        if json:
            typer.echo(json_format.dumps(result.as_json()))
        if report is not None:
            console.print(f"report: {write_page(result, report)}", soft_wrap=True)
        if not result.good:
            raise typer.Exit(1)
