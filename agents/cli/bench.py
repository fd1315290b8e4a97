"""``payments bench``: what a payment costs, measured here and now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.failures import COULD_NOT_BE_DONE


def bench(
    accounts: Annotated[int, typer.Option(min=1, help="Accounts of the smaller world.")] = 10_000,
    many_accounts: Annotated[int, typer.Option(min=1, help="Accounts of the larger world.")] = 1_000_000,
    claims: Annotated[int, typer.Option(min=0, help="Dedupe ids that the larger world begins with.")] = 10_000_000,
    payments: Annotated[int, typer.Option(min=10, help="Payments in each run.")] = 300_000,
    data: Annotated[
        Path | None, typer.Option(help="A folder on the disk to measure; 5 GB. Default: a temporary one.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object on stdout.")] = False,
) -> None:
    """Measure the authorise stage on one core: payments a second, and where the microseconds go.

    Its real agents, durable, exactly once, among ten thousand accounts and among a million; and the same agents run by
    bytewax, if that is installed. Takes some four minutes, half of them to make the worlds. Ends with 0 once it is
    measured, with 3 if it could not be.
    """
    import json as json_format
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from bench.run import BenchFailedError, Plan, run_bench
    from bench.table import print_figures

    console = Console(stderr=True)
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="payments-bench-", dir=data) as folder:
        plan = Plan(Path(folder), accounts, many_accounts, claims, payments)
        try:
            result = run_bench(plan, lambda doing: console.print(f"… {doing}", highlight=False, markup=False))
        except BenchFailedError as failure:
            console.print(f"it could not be measured: {failure}", style="bold red", markup=False)
            raise typer.Exit(COULD_NOT_BE_DONE) from None
    print_figures(result, console)
    if json:
        typer.echo(json_format.dumps(result.as_json()))
