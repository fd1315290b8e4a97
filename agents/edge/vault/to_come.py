"""A local vault as the links read it, which may start before the gateway has made it.

What a message says beside its event is kept before the event is in the log, so a vault that is not there keeps nothing
that anybody could miss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.edge.vault.local import FILE, LocalVaultReader, read_vault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from schemas.iso20022.walk import Content


class VaultToCome:
    """What a vault keeps beside payments; one that is not there yet keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader: LocalVaultReader | None = None

    def remainders(self, ids: Sequence[str]) -> list[Content | None]:
        """Return what was kept under each id, None where nothing was."""
        if self._reader is None and (self._folder / FILE).exists():
            self._reader = read_vault(self._folder)
        return [None] * len(ids) if self._reader is None else self._reader.remainders(ids)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._reader is not None:
            self._reader.close()
