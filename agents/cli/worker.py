"""``payments worker``: run stages of the pipeline on the shards of a log, until SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def worker(
    log: Annotated[str, typer.Option(help="The log to read and write: local:DIR, kinesis:REGION, or kcl[:REGION].")],
    data: Annotated[Path, typer.Option(help="Where state and snapshots are kept.")] = Path("data"),
    stage: Annotated[list[str] | None, typer.Option(help="A stage to run; may be repeated. Default: all.")] = None,
    shard: Annotated[list[str] | None, typer.Option(help="A shard to own; may be repeated. Default: all.")] = None,
) -> None:
    """Run stages of the pipeline on the shards of a log.

    SIGTERM or Ctrl-C: finishes the batches in hand, takes snapshots, and ends with 0. A batch that fails: ends with 1,
    nothing of it committed. Settings: PAYMENTS_… in the environment, or the file named by PAYMENTS_CONFIG.

    kinesis:REGION takes credentials as boto3 does; AWS_ENDPOINT_URL or LOCALSTACK_HOST name another endpoint than AWS.

    kcl[:REGION] is the same log, read by KCL, which shares the shards among all workers: a Java process for each stage,
    and a process for each shard. It needs Java, and `make kcl` once.
    """
    import os

    from agents.app import ALL_STAGES, STAGES, WorkerPlan, run_worker
    from agents.kcl import run_kcl
    from pipeline.errors import LogError
    from pipeline.settings import SettingsError, load_settings
    from pipeline.stream_logs.naming import check_name, is_kcl

    try:
        settings = load_settings(os.environ)
        check_name(log)
        if is_kcl(log) and shard:
            raise typer.BadParameter("KCL says who has which shard", param_hint="--shard")
    except SettingsError as error:
        raise typer.BadParameter(str(error), param_hint="environment") from error
    except LogError as error:
        raise typer.BadParameter(str(error), param_hint="--log") from error
    names = tuple(stage or (ALL_STAGES,))
    for name in names:
        if name not in (*STAGES, ALL_STAGES):
            raise typer.BadParameter(f"{name!r} is none of {', '.join((*STAGES, ALL_STAGES))}", param_hint="--stage")
    run = run_kcl if is_kcl(log) else run_worker
    raise typer.Exit(run(WorkerPlan(log, data, names, shard), settings))
