"""``payments participants``: the banks at the other end of the links, simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.failures import finite

_PER_PERCENT = 100


def participants(
    clearing: Annotated[str, typer.Option(metavar="URL", help="Where the links listen for answers.")],
    data: Annotated[Path, typer.Option(help="Folder for the participants' own store.")],
    *,
    host: Annotated[str, typer.Option(help="Where to listen for the clearing.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535)] = 9010,
    seed: Annotated[int, typer.Option(help="How a payment is answered is a function of it.")] = 1,
    delay_ms: Annotated[tuple[int, int], typer.Option(min=0, help="From receipt to answer, of most.")] = (20, 80),
    slow: Annotated[float, typer.Option(min=0, max=100, callback=finite, help="Percent in about a second.")] = 8.0,
    rejected: Annotated[float, typer.Option(min=0, max=100, callback=finite, help="Percent rejected.")] = 2.0,
    late: Annotated[float, typer.Option(min=0, max=100, callback=finite, help="Percent behind the deadline.")] = 0.4,
    silent: Annotated[float, typer.Option(min=0, max=100, callback=finite, help="Percent never answered.")] = 0.25,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = None,
) -> None:
    """Be all participants: take pacs.008, answer with pacs.002, also when asked by pacs.028, and hear how it ended.

    Messages come in at http://HOST:PORT/messages. Kill it at any moment: what it has taken it answers when it is back.
    """
    from agents.edge.participant_answers import Manners
    from agents.edge.participants_process import ParticipantsPlan, run_participants

    if delay_ms[0] > delay_ms[1]:
        raise typer.BadParameter(f"{delay_ms[0]} is more than {delay_ms[1]}", param_hint="--delay-ms")
    manners = Manners(
        rejected=round(rejected * _PER_PERCENT),
        late=round(late * _PER_PERCENT),
        silent=round(silent * _PER_PERCENT),
        unhurried=round(slow * _PER_PERCENT),
        prompt_ms=delay_ms,
    )
    raise typer.Exit(run_participants(ParticipantsPlan(data, host, port, clearing, seed, manners, seconds)))
