"""``payments generate``: the simulated customers' submissions as lines of JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """What a submission is printed as."""

    JSONL = "jsonl"


def generate(
    count: Annotated[int, typer.Option(help="How many submissions.", min=0)],
    seed: Annotated[int, typer.Option(help="What is submitted is a function of it and the index.")] = 1,
    first: Annotated[int, typer.Option(help="The index to begin at.", min=0)] = 0,
    accounts: Annotated[int, typer.Option(help="Accounts in the simulated world.", min=1_000)] = 20_000,
    tps: Annotated[int, typer.Option(help="Submissions a second, for their times of acceptance.", min=1)] = 500,
    start_us: Annotated[int, typer.Option(help="When the one at index 0 is accepted.", min=1)] = 1_764_000_000_000_000,
    form: Annotated[Format, typer.Option("--format", help="How they are printed.")] = Format.JSONL,  # noqa: ARG001
) -> None:
    """Print submissions: orders, clients' retries, conflicts and bad data.

    A line has index, kind, label, stream and key, and either the event or, for bad data, the whole record in base 64.
    The same options print the same bytes, on every machine.
    """
    import sys

    from agents.edge.producer import Identity
    from agents.edge.workload.records import line_of
    from agents.edge.workload.sequence import Workload
    from schemas.events import TIME_US_MAX

    last_us = start_us + (first + count) * 1_000_000 // tps
    if last_us > TIME_US_MAX:
        raise typer.BadParameter(f"the last submission is accepted at {last_us} us, behind the year 9999")
    workload = Workload(seed, accounts)
    producer = Identity(b"generate", start_us)
    for index in range(first, first + count):
        submission = workload.at(index)
        accepted_us = start_us + submission.accepted_index * 1_000_000 // tps
        sys.stdout.buffer.write(line_of(submission, accepted_us, producer) + b"\n")
