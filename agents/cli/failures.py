"""What cannot be done is said in one line and ends with exit code 3, whichever command it was."""

from __future__ import annotations

import os
import sqlite3
import sys
from math import isfinite
from typing import Any

import typer
from typer.core import TyperGroup

from agents.edge.errors import EdgeError
from pipeline.errors import PipelineError

COULD_NOT_BE_DONE = 3


class Commands(TyperGroup):
    """All commands, ended alike by what the machine, a log or a store did not allow."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - a context of the click inside typer, whose name is private
        """Run a command, and see that what it printed was taken; a reader that went away needs no words."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                _flush_stdout()
        except BrokenPipeError:
            raise typer.Exit(COULD_NOT_BE_DONE) from None
        except (OSError, PipelineError, EdgeError, sqlite3.Error) as failure:
            typer.echo(f"payments {ctx.invoked_subcommand}: {failure}", err=True)
            raise typer.Exit(COULD_NOT_BE_DONE) from None


def finite(number: float) -> float:
    """Return an option's ``number``; raise ``typer.BadParameter`` for infinity, and for what is no number."""
    if not isfinite(number):
        raise typer.BadParameter(f"{number} is not a finite number")
    return number


def _flush_stdout() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # or the interpreter tries again at its end
        raise
