"""The store of an edge process: one SQLite file, one process, effects and positions in one transaction.

SQLite's write-ahead log makes a commit atomic against ``kill -9`` at any moment, whatever ``synchronous`` says.  What
``synchronous`` decides is a loss of power: FULL syncs every commit, NORMAL may lose the last ones, all of them
together, so that the file is then as it was a moment earlier.  Every edge says which of the two it needs, and why.

A file lock beside the database keeps out a second process; the system releases it when the first one dies.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from agents.edge.errors import EdgeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Synchronous = Literal["NORMAL", "FULL"]

_FACTS = "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"


class EdgeDatabase:
    """A SQLite file that this process alone writes."""

    def __init__(self, path: Path, schema: str, synchronous: Synchronous) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = _lock(path.with_name(path.name + ".lock"))
        self.connection = sqlite3.connect(path, isolation_level=None)
        try:
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute(f"PRAGMA synchronous={synchronous}")
            self.connection.executescript(f"BEGIN; {_FACTS} {schema} COMMIT;")
        except sqlite3.Error as error:
            self.close()
            raise EdgeError(f"{path} cannot be opened: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block writes, all of it or nothing."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def fact(self, name: str, value: str) -> str:
        """Return what was first said of ``name``; ``value``, durably, if nothing was."""
        self.connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value))
        (kept,) = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(kept)

    def require_fact(self, name: str, value: str) -> None:
        """Raise ``EdgeError`` if something else than ``value`` was said of ``name`` before."""
        kept = self.fact(name, value)
        if kept != value:
            raise EdgeError(f"{self.path} was made with {name} = {kept}, not {value}; use another folder")

    def close(self) -> None:
        """Close the file and let another process have it."""
        self.connection.close()
        os.close(self._lock)


def read_only(path: Path) -> sqlite3.Connection:
    """Open an edge's database for queries, while its process writes it or not."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        connection.close()
        raise EdgeError(f"{path} cannot be read: {error}") from error
    return connection


def _lock(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise EdgeError(f"{path} is locked: another process has this store open; stop it first") from None
    return file
