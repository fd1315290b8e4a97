"""``payments status``: how a payment stands."""

from __future__ import annotations

from typing import Annotated

import typer


def status(
    payment_id: Annotated[str, typer.Argument(help="The identity of the payment.", show_default=False)],
    tables: Annotated[str, typer.Option(help="Where a projector keeps its tables: sqlite:DIR or dynamodb:TABLE.")],
    region: Annotated[str | None, typer.Option(help="Of the DynamoDB table. Default: as boto3 finds it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Say how a payment stands: its status, why, its amount and cycle, and when.

    Ends with 0 if the projector knows the payment, with 1 if it does not (yet), and with 3 if its tables cannot be
    read. AWS_ENDPOINT_URL or LOCALSTACK_HOST name another DynamoDB than AWS's.
    """
    import json as json_format

    from agents.edge.projector_tables import find_payment

    found = find_payment(tables, region, payment_id)
    if found is None:
        typer.echo(f"{payment_id}: the projector knows no such payment", err=True)
        raise typer.Exit(1)
    said = {name: value for name, value in found.items() if isinstance(value, str | int)}
    for name, value in said.items() if not json else ():
        typer.echo(f"{name:28} {value}", err=True)
    if json:
        typer.echo(json_format.dumps(said))
