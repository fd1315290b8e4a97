"""``payments validate``: is this a valid ISO 20022 message, and if not, why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from schemas.iso20022.validation import Verdict


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Documents to look at.")],
    scheme: Annotated[str | None, typer.Option(help="Also keep to the rules of this scheme: sct-inst, fps, …")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the verdicts as one JSON object on stdout.")] = False,
) -> None:
    """Say of each file which message of ISO 20022 it is, whether it is valid, and each violation with its XPath.

    Valid by the schema, and by the external code sets of statuses and reasons, which the schema leaves out. A message
    may be bare or in an envelope. With PAYMENTS_XSD_DIR, a folder of ISO's schemas, the schema of each message is asked
    too, and a difference is a violation. Ends with 0 if all files are valid, with 1 if some are not, with 3 if one
    could not be read from the disk, or its schema is not there.
    """
    import json as json_format
    import os
    from dataclasses import asdict

    from rich.console import Console

    from pipeline.settings import XSD_VARIABLE
    from schemas.errors import Fault
    from schemas.iso20022.document import DOCUMENT_BYTES_MAX
    from schemas.iso20022.errors import NoSchemaError
    from schemas.iso20022.second_opinion import IsoSchemas
    from schemas.iso20022.validation import Verdict
    from schemas.iso20022.validation import validate as verdict_on
    from schemas.schemes.catalogue import SCHEMES

    if scheme is not None and scheme not in SCHEMES:
        raise typer.BadParameter(f"{scheme!r} is none of {', '.join(SCHEMES)}", param_hint="--scheme")
    profile = None if scheme is None else SCHEMES[scheme]
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    verdicts: list[Verdict] = []
    unread = False
    folder = os.environ.get(XSD_VARIABLE)
    try:
        schemas = IsoSchemas(Path(folder)) if folder else None
    except NoSchemaError as failure:
        raise typer.BadParameter(f"{XSD_VARIABLE}: {failure}", param_hint="environment") from None
    for file in files:
        try:
            with file.open("rb") as opened:
                verdict = verdict_on(opened.read(DOCUMENT_BYTES_MAX + 1), profile, schemas)
        except NoSchemaError as failure:
            console.print(f"{file}: {XSD_VARIABLE}: {failure}")
            raise typer.Exit(3) from None
        except OSError as failure:
            unread = True
            verdict = Verdict(None, (Fault("", "file", f"could not be read: {failure.strerror}"),))
        _tell(console, file, verdict)
        verdicts.append(verdict)
    if json:
        rows = [
            {
                "file": str(file),
                "type": verdict.type,
                "valid": verdict.valid,
                "violations": [asdict(violation) for violation in verdict.violations],
            }
            for file, verdict in zip(files, verdicts, strict=True)
        ]
        typer.echo(json_format.dumps({"files": rows}))
    if unread:
        raise typer.Exit(3)
    raise typer.Exit(0 if all(verdict.valid for verdict in verdicts) else 1)


def _tell(console: Console, file: Path, verdict: Verdict) -> None:
    """Print a line for the file, and one for each violation; of what is no message one line in all."""
    if verdict.type is None:
        console.print(f"{file}: {'; '.join(map(str, verdict.violations))}")
        return
    console.print(f"{file}: {verdict.type}, {'valid' if verdict.valid else 'not valid'}")
    for violation in verdict.violations:
        console.print(f"  {violation} [{violation.rule}]")
