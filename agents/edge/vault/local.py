"""A vault in one SQLite file, for one machine: the gateway writes it, other processes read it meanwhile.

A token is an HMAC-SHA256 under the vault's key, of tenant and number, so that the same number has the same token in a
vault that was begun anew.  The file remembers each token that was given; a number that has one keeps it, whatever the
key is now.

Numbers and remainders lie in the file as they are; it is readable to its owner only.  Encryption under a key of a KMS
comes with the vault proper.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final

from agents.edge.database import EdgeDatabase, read_only
from agents.edge.errors import EdgeError
from agents.edge.vault.contents import content_from_bytes, content_to_bytes
from agents.edge.vault.key import KEY_MODE
from agents.edge.vault.port import Account, OtherRemainderError, UnknownTokenError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from schemas.iso20022.walk import Content

FILE: Final = "vault.sqlite"
TOKEN_BYTES: Final = 20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    token TEXT PRIMARY KEY, tenant TEXT NOT NULL, number TEXT NOT NULL, UNIQUE (tenant, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS remainders (id TEXT PRIMARY KEY, content BLOB NOT NULL);
"""
_TOKEN = "SELECT token FROM accounts WHERE tenant = ? AND number = ?"  # noqa: S105 - a query
_NUMBER = "SELECT number FROM accounts WHERE token = ?"
_KEEP = "INSERT OR IGNORE INTO remainders VALUES (?, ?)"
_REMAINDER = "SELECT content FROM remainders WHERE id = ?"


def derive_token(key: bytes, account: Account) -> str:
    """Return the token that ``account`` gets under ``key``."""
    said = f"{len(account.tenant)}:{account.tenant}{account.number}".encode()
    return f"acct_{hmac.digest(key, said, 'sha256')[:TOKEN_BYTES].hex()}"


class LocalVaultReader:
    """A ``VaultReader`` on a connection to the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def numbers(self, tokens: Sequence[str]) -> list[str]:
        """Return the account number behind each token; ``UnknownTokenError`` names the first that has none."""
        numbers = []
        for token in tokens:
            found = self._connection.execute(_NUMBER, (token,)).fetchone()
            if found is None:
                raise UnknownTokenError(f"no account number is kept behind the token {token}")
            numbers.append(str(found[0]))
        return numbers

    def remainders(self, ids: Sequence[str]) -> list[Content | None]:
        """Return what was kept under each id, None where nothing was."""
        kept = map(self._kept, ids)
        return [None if data is None else content_from_bytes(data) for data in kept]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _kept(self, each: str) -> bytes | None:
        found = self._connection.execute(_REMAINDER, (each,)).fetchone()
        return None if found is None else bytes(found[0])


class LocalVault(LocalVaultReader):
    """A ``Vault`` in a folder that this process alone writes."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._database = _open_database(folder)
        self._key = key
        super().__init__(self._database.connection)

    def tokens(self, accounts: Sequence[Account]) -> list[str]:
        """Return the token of each account, once the way back from it is durable."""
        given = {account: self._given(account) for account in accounts}
        new = [account for account, token in given.items() if token is None]
        if new:
            with self._database.transaction() as connection:
                for account in new:
                    given[account] = token = derive_token(self._key, account)
                    connection.execute("INSERT INTO accounts VALUES (?, ?, ?)", (token, *account))
        return [token for token in map(given.get, accounts) if token is not None]

    def keep(self, remainders: Mapping[str, Content]) -> None:
        """Keep the remainder of a message under each id, durably: all of them or none."""
        rows = {each: content_to_bytes(content) for each, content in remainders.items()}
        with self._database.transaction() as connection:
            known = [row[0] for row in rows.items() if not connection.execute(_KEEP, row).rowcount]
            others = [each for each in known if self._kept(each) != rows[each]]
            if others:
                raise OtherRemainderError(others)

    def close(self) -> None:
        """Close the file and let another process write it."""
        self._database.close()

    def _given(self, account: Account) -> str | None:
        found = self._connection.execute(_TOKEN, account).fetchone()
        return None if found is None else str(found[0])


def read_vault(folder: Path) -> LocalVaultReader:
    """Return a reader of the vault in ``folder``, while another process writes it or not."""
    if not (folder / FILE).exists():
        raise EdgeError(f"no vault is in {folder}")
    return LocalVaultReader(read_only(folder / FILE))


def _open_database(folder: Path) -> EdgeDatabase:
    """Return the database, whose files only their owner may open: SQLite gives those beside it the same mode."""
    folder.mkdir(parents=True, exist_ok=True)
    os.close(os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, KEY_MODE))
    return EdgeDatabase(folder / FILE, _SCHEMA, "FULL")
