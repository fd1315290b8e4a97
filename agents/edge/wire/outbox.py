"""Messages that are owed: kept, in the owner's own database, until the other side says that it has them.

What puts a message in is committed together with it, so that neither is without the other.  A message that is sent
again, because nobody knows whether it arrived, is the same bytes; what comes in by an outbox must be such that to hear
it twice is to hear it once.

    with database.transaction():
        outbox.store()                        what was acknowledged since the last commit leaves
        outbox.add(recipient, document, now)  what is owed from now on

A message for somebody without an address is kept, and waits for a start at which there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agents.edge.database import EdgeDatabase

_SCHEMA = """
CREATE TABLE IF NOT EXISTS owed (
    number INTEGER PRIMARY KEY, recipient TEXT NOT NULL, address TEXT, due_us INTEGER NOT NULL, document BLOB NOT NULL,
    refused TEXT
);
CREATE INDEX IF NOT EXISTS owed_next ON owed (address, due_us, number) WHERE refused IS NULL;
"""
_ADD = "INSERT INTO owed (recipient, address, due_us, document) VALUES (?, ?, ?, ?)"
_DUE = """
SELECT number, document FROM owed WHERE address = ? AND due_us <= ? AND refused IS NULL ORDER BY due_us, number LIMIT ?
"""
_NEXT = "SELECT MIN(due_us) FROM owed WHERE address = ? AND due_us > ? AND refused IS NULL"
_MOVE = "UPDATE owed SET address = ? WHERE recipient = ? AND address IS NOT ?"
_ADDRESSES = "SELECT address, MIN(due_us) FROM owed WHERE refused IS NULL AND address IS NOT NULL GROUP BY address"
_LEAVE = "DELETE FROM owed WHERE number = ?"
_REFUSE = "UPDATE owed SET refused = ? WHERE number = ?"


class Owed(NamedTuple):
    """A message that is owed."""

    number: int
    document: bytes


class Outbox:
    """What is owed to all addresses."""

    def __init__(self, database: EdgeDatabase, addresses: Mapping[str, str]) -> None:
        """``addresses`` says where each recipient is now."""
        self._connection = database.connection
        self._connection.executescript(_SCHEMA)
        with database.transaction():
            moves = [(address, recipient, address) for recipient, address in addresses.items()]
            self._connection.executemany(_MOVE, moves)
        self._addresses = addresses
        self._acknowledged: set[int] = set()
        self._refused: dict[int, str] = {}
        self._next_us: dict[str, int] = dict(self._connection.execute(_ADDRESSES))

    def add(self, recipient: str, document: bytes, due_us: int) -> None:
        """Owe a message to ``recipient`` from ``due_us`` on; call it in a transaction."""
        address = self._addresses.get(recipient)
        self._connection.execute(_ADD, (recipient, address, due_us, document))
        if address is not None:
            self._next_us[address] = min(due_us, self._next_us.get(address, due_us))

    def waiting(self, now_us: int) -> list[str]:
        """Return the addresses to which something is due."""
        return [address for address, next_us in self._next_us.items() if next_us <= now_us]

    def due(self, address: str, now_us: int, count_max: int) -> list[Owed]:
        """Return the messages that are due longest."""
        done = self._acknowledged.union(self._refused)
        rows = self._connection.execute(_DUE, (address, now_us, count_max + len(done)))
        owed = [Owed(*row) for row in rows if row[0] not in done][:count_max]
        if not owed:
            self._forget_address(address, now_us)
        return owed

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """Note that the other side has these messages."""
        self._acknowledged.update(numbers)

    def refuse(self, number: int, why: str) -> None:
        """Note that the other side will not take a message: it stays, as evidence, and is not sent again."""
        self._refused[number] = why

    @property
    def has_news(self) -> bool:
        """Say whether ``store`` has something to store."""
        return bool(self._acknowledged or self._refused)

    def store(self) -> None:
        """Let what was acknowledged leave; call it in a transaction."""
        self._connection.executemany(_LEAVE, [(number,) for number in self._acknowledged])
        self._connection.executemany(_REFUSE, [(why, number) for number, why in self._refused.items()])
        self._acknowledged.clear()
        self._refused.clear()

    def _forget_address(self, address: str, now_us: int) -> None:
        (next_us,) = self._connection.execute(_NEXT, (address, now_us)).fetchone()
        if next_us is None:
            del self._next_us[address]
        else:
            self._next_us[address] = next_us
