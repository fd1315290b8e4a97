"""``payments worker``: run stages of the pipeline on the shards of a log, until SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def worker(
    log: Annotated[str, typer.Option(help="The log to read and write: local:DIR or kinesis:REGION.")],
    data: Annotated[Path, typer.Option(help="Where state and snapshots are kept.")] = Path("data"),
    stage: Annotated[list[str] | None, typer.Option(help="A stage to run; may be repeated. Default: all.")] = None,
    shard: Annotated[list[str] | None, typer.Option(help="A shard to own; may be repeated. Default: all.")] = None,
) -> None:
    """Run stages of the pipeline on the shards of a log.

    SIGTERM or Ctrl-C: finishes the batches in hand, takes snapshots, and ends with 0. A batch that fails: ends with 1,
    nothing of it committed. Settings: PAYMENTS_… in the environment, or the file named by PAYMENTS_CONFIG.

    kinesis:REGION takes credentials as boto3 does; AWS_ENDPOINT_URL or LOCALSTACK_HOST name another endpoint than AWS.
    """
    import os

    from agents.app import ALL_STAGES, STAGES, WorkerPlan, run_worker
    from pipeline.errors import LogError
    from pipeline.settings import SettingsError, load_settings
    from pipeline.stream_logs.naming import check_name

    try:
        settings = load_settings(os.environ)
        check_name(log)
    except SettingsError as error:
        raise typer.BadParameter(str(error), param_hint="environment") from error
    except LogError as error:
        raise typer.BadParameter(str(error), param_hint="--log") from error
    names = tuple(stage or (ALL_STAGES,))
    for name in names:
        if name not in (*STAGES, ALL_STAGES):
            raise typer.BadParameter(f"{name!r} is none of {', '.join((*STAGES, ALL_STAGES))}", param_hint="--stage")
    raise typer.Exit(run_worker(WorkerPlan(log, data, names, shard), settings))
