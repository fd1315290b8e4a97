"""``payments``: one command for all of the product.

Each command has a module here that declares its options, and imports what it needs when it is run, so that
``payments --help`` is quick.

    0   done
    1   the answer is no: invalid, diverged, a batch failed
    2   wrong usage
    3   it could not be done

What is said to people goes to stderr.  With ``--json`` a command prints one JSON object to stdout, and nothing else.
"""

from __future__ import annotations

import typer

from agents.cli.bench import bench
from agents.cli.chaos import chaos
from agents.cli.demo import demo
from agents.cli.failures import Commands
from agents.cli.gateway import gateway
from agents.cli.generate import generate
from agents.cli.participants import participants
from agents.cli.simulate import simulate
from agents.cli.stack import stack
from agents.cli.status import status
from agents.cli.validate import validate
from agents.cli.worker import worker

app = typer.Typer(
    cls=Commands,
    help="Instant payments on ordered streams: exactly once, replayable, and able to prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(bench)
app.command()(chaos)
app.command()(demo)
app.command()(gateway)
app.command()(generate)
app.command()(participants)
app.command()(simulate)
app.command()(stack)
app.command()(status)
app.command()(validate)
app.command()(worker)


def main() -> None:
    """Run the command that the process was called with."""
    app(prog_name="payments")
