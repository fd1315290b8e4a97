"""``payments stack``: the whole system on emulators of AWS, left running to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.failures import COULD_NOT_BE_DONE, finite


def stack(
    minutes: Annotated[float, typer.Option(min=0.1, max=15, help="How long payments move.")] = 10.0,
    tps: Annotated[float, typer.Option(min=0.1, callback=finite, help="Payments submitted a second.")] = 20.0,
    shards: Annotated[int, typer.Option(min=1, max=16, help="Shards of each stream.")] = 2,
    seed: Annotated[int, typer.Option(help="The payments and the participants' answers are functions of it.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Keep what it writes here. Default: a temporary folder.")] = None,
) -> None:
    """Run emulators of Kinesis, DynamoDB and S3, KCL's workers, a generator, participants and the projector.

    Prometheus too, if it is installed. Tells where everything is. Ctrl-C or SIGTERM stops it, and so does the end of
    its time: with 0, within half a minute, and when it ends nothing of it is left. Ends with 3 if it could not be
    started, or a part that cannot be started again ended.
    """
    import asyncio
    from functools import partial

    from rich.console import Console

    from demo.errors import RunError
    from demo.folder import folder_of_run
    from demo.run import Plan
    from demo.stack.running import run_stack
    from demo.stopping import stopped_by_sigterm
    from pipeline.system_clock import SystemClock

    console = Console(stderr=True)
    tell = partial(console.print, highlight=False)
    with stopped_by_sigterm(), folder_of_run(data, "stack", tell) as folder:
        plan = Plan(folder, minutes * 60, tps, shards, seed)
        try:
            asyncio.run(run_stack(plan, SystemClock(), tell))
        except RunError as failure:
            console.print(str(failure), style="bold red", markup=False)
            raise typer.Exit(COULD_NOT_BE_DONE) from None
        except KeyboardInterrupt:
            console.print("stopped")
