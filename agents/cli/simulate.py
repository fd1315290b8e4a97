"""``payments simulate``: the whole product under faults, by seed."""

from __future__ import annotations

from typing import Annotated

import typer


def simulate(
    seed: Annotated[int, typer.Option(min=0, help="The first seed, or the only one.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, one after the other from --seed on.")] = 1,
    payments: Annotated[int, typer.Option(min=1, help="Orders in each world.")] = 300,
    processes: Annotated[int | None, typer.Option(min=1, help="Worlds at a time. Default: one a core.")] = None,
    trace: Annotated[int, typer.Option(min=1, help="Lines of what happened last, if a seed fails.")] = 60,
    json: Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object on stdout.")] = False,
) -> None:
    """Run the real engine and agents under a virtual clock and faulty ports, and audit what they did.

    A seed decides everything: crashes, zombies, lost answers, splits, merges, damaged snapshots, skewed clocks, and
    participants that answer late, twice or never. The same seed is the same run, so a failure is found again by its
    number. Ends with 0 if every invariant held; with 1 if one did not, or if a hundred seeds or more left out a fault
    of the catalogue (docs/faults.md).
    """
    import json as json_format

    from rich.console import Console
    from rich.progress import Progress

    from chaos.simulator.simulate import COVERING_SEEDS, SeedResult, Sweep, be_quiet, sweep
    from chaos.simulator.simulate import simulate as run_seed

    console = Console(stderr=True)

    def show(result: SeedResult) -> None:
        for problem in result.problems:
            console.print(f"seed {result.seed}: {problem.invariant.value}: {problem.text}", markup=False, style="red")
        if result.problems:
            console.print(f"payments simulate --seed {result.seed} --payments {payments}", markup=False)

    if seeds == 1:
        be_quiet()
        result = run_seed(seed, payments, trace_lines=trace)
        for line in result.trace:
            console.print(line, markup=False, highlight=False)
        show(result)
        total = Sweep()
        total.add(result)
    else:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("seeds", total=seeds)

            def tell(result: SeedResult) -> None:
                progress.advance(task)
                show(result)

            total = sweep(range(seed, seed + seeds), payments, processes, tell)
    console.print(
        f"{total.seeds} {'seed' if total.seeds == 1 else 'seeds'}, {len(total.failed)} failed; "
        f"{total.settled:,} of {total.payments:,} payments settled, "
        f"in {total.virtual_us // 1_000_000:,} virtual seconds",
        highlight=False,
    )
    if json:
        typer.echo(json_format.dumps(total.as_json()))
    if total.never and total.seeds >= COVERING_SEEDS:
        console.print(f"never happened, so nothing is known of it: {', '.join(total.never)}", style="red", markup=False)
    raise typer.Exit(0 if total.good else 1)
