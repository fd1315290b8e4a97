"""``payments generate``: what simulated customers and banks send, as lines of JSON or as ISO 20022 messages."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What is printed."""

    JSONL = "jsonl"
    XML = "xml"


def generate(
    count: Annotated[int, typer.Option(help="How many submissions.", min=0)],
    *,
    seed: Annotated[int, typer.Option(help="What is submitted is a function of it and the index.")] = 1,
    first: Annotated[int, typer.Option(help="The index to begin at.", min=0)] = 0,
    accounts: Annotated[int, typer.Option(help="Accounts in the simulated world.", min=1_000)] = 20_000,
    tps: Annotated[int, typer.Option(help="Submissions a second, for their times of acceptance.", min=1)] = 500,
    start_us: Annotated[int, typer.Option(help="When the one at index 0 is accepted.", min=1)] = 1_764_000_000_000_000,
    form: Annotated[
        Format, typer.Option("--format", help="Submissions as JSON, or ISO 20022 messages.")
    ] = Format.JSONL,
    invalid: Annotated[
        int, typer.Option(min=0, max=100, help="xml: the percentage that is invalid, and labelled.")
    ] = 20,
    out: Annotated[Path | None, typer.Option(help="xml: write a file for each message, and labels.jsonl.")] = None,
) -> None:
    """Print submissions: orders, clients' retries, conflicts and bad data; or ISO 20022 messages of six types.

    A line of JSON has index, kind, label, stream and key, and either the event or, for bad data, the whole record in
    base 64. A line of XML is a document, with a comment that says its type, the scheme that it is for, and "valid" or
    what is wrong with it. The same options print the same bytes, on every machine.
    """
    if form is Format.XML:
        _messages(seed, range(first, first + count), (start_us, tps), invalid, out)
        return
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


def _messages(seed: int, indices: range, clock: tuple[int, int], invalid: int, out: Path | None) -> None:
    """Print messages, or write them into a folder."""
    import sys

    from agents.edge.messages.sequence import label_line, line_of, message_at

    start_us, tps = clock
    labels = []
    for index in indices:
        message = message_at(seed, index, start_us + index * 1_000_000 // tps, invalid)
        if out is None:
            sys.stdout.buffer.write(line_of(message) + b"\n")
            continue
        out.mkdir(parents=True, exist_ok=True)
        (out / message.file_name).write_bytes(message.document)
        labels.append(label_line(message))
    if out is not None:
        (out / "labels.jsonl").write_bytes(b"".join(labels))
