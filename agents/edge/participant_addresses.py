"""Where participants' messages go: a file that says which address serves which BICs.

    [[links]]
    address = "http://127.0.0.1:9010/messages"
    participants = ["ZQAAGBX0", "ZQABGBX0"]

An address may serve many: a provider of technical services does, and so does the clearing through which a participant
abroad is reached.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from agents.edge.errors import EdgeError
from schemas.identifiers import is_bic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=_STRICT)
class _Link:
    address: Annotated[str, Field(pattern=r"^https?://[^/]+/")]
    participants: tuple[str, ...]


@dataclass(frozen=True, slots=True, config=_STRICT)
class _File:
    links: tuple[_Link, ...]


_read_file = TypeAdapter(_File).validate_python


def read_addresses(file: Path) -> dict[str, str]:
    """Return the address of every BIC in ``file``; ``EdgeError`` says what is wrong with it."""
    try:
        links = _read_file(tomllib.loads(file.read_text("utf-8"))).links
    except (OSError, ValueError) as failure:
        raise EdgeError(f"{file} says no addresses of participants: {_first_of(failure)}") from None
    addresses: dict[str, str] = {}
    for link in links:
        for bic in link.participants:
            if is_bic(bic) is None:
                raise EdgeError(f"{file}: {bic!r} is no BIC")
            if addresses.setdefault(bic, link.address) != link.address:
                raise EdgeError(f"{file}: {bic} has two addresses")
    return addresses


def write_addresses(file: Path, participants: Mapping[str, Iterable[str]]) -> None:
    """Write the BICs that each address serves; a reader finds the whole file, or the one before it."""
    links = [
        f"[[links]]\naddress = {_quoted(address)}\nparticipants = [{', '.join(map(_quoted, bics))}]\n"
        for address, bics in participants.items()
    ]
    half_written = file.with_suffix(".new")
    half_written.write_text("\n".join(links), "utf-8")
    half_written.rename(file)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _first_of(failure: OSError | ValueError) -> str:
    if isinstance(failure, ValidationError):
        first = failure.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(failure)
