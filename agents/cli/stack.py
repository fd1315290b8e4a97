"""``payments stack``: the whole system on emulators of AWS, left running to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def stack(
    minutes: Annotated[float, typer.Option(min=0.1, max=15, help="How long payments move.")] = 10.0,
    tps: Annotated[float, typer.Option(min=0.1, help="Payments submitted a second.")] = 20.0,
    shards: Annotated[int, typer.Option(min=1, max=16, help="Shards of each stream.")] = 2,
    seed: Annotated[int, typer.Option(help="The payments and the participants' answers are functions of it.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Keep what it writes here. Default: a temporary folder.")] = None,
) -> None:
    """Run emulators of Kinesis, DynamoDB and S3, KCL's workers, a generator, participants and the projector.

    Prometheus too, if it is installed. Tells where everything is. Ctrl-C or SIGTERM stops it, and so does the end of
    its time: with 0, and nothing of it is left. Ends with 3 if it could not be started, or a part that cannot be
    started again ended.
    """
    import asyncio
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from demo.fleet import MemberFailedError
    from demo.folder import FolderInUseError
    from demo.run import Plan, StartError
    from demo.stack.needed import NotInstalledError
    from demo.stack.running import run_stack
    from demo.stopping import stopped_by_sigterm
    from pipeline.system_clock import SystemClock

    console = Console(stderr=True)
    with stopped_by_sigterm(), TemporaryDirectory(prefix="payments-stack-") as temporary:
        plan = Plan(data or Path(temporary), minutes * 60, tps, shards, seed)
        try:
            asyncio.run(run_stack(plan, SystemClock(), lambda line: console.print(line, highlight=False)))
        except (FolderInUseError, MemberFailedError, NotInstalledError, StartError) as failure:
            console.print(str(failure), style="bold red", markup=False)
            raise typer.Exit(3) from None
        except KeyboardInterrupt:
            console.print("stopped")
