"""Claims in one SQLite file, for one gateway: what came at the same time is one transaction, and one sync.

Commits are synced (FULL): a claim that a loss of power could take back would let a retry become another payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agents.edge.database import EdgeDatabase
from agents.edge.gateway.claims import Claim, Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

FILE: Final = "gateway.sqlite"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS claims (
    claim_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, client TEXT NOT NULL, digest BLOB NOT NULL,
    received_us INTEGER NOT NULL, verification_id TEXT NOT NULL, record BLOB NOT NULL,
    appended INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS claims_to_append ON claims (received_us) WHERE NOT appended;
"""
_COLUMNS: Final = "claim_id, tenant, client, digest, received_us, verification_id, record"
_CLAIM = "INSERT OR IGNORE INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, 0)"
_FIND = f"SELECT appended, {_COLUMNS} FROM claims WHERE claim_id = ?"  # noqa: S608 - our own columns
_UNAPPENDED = f"SELECT {_COLUMNS} FROM claims WHERE NOT appended ORDER BY received_us"  # noqa: S608 - the same
_MARK = "UPDATE claims SET appended = 1 WHERE claim_id = ?"


class SqliteClaims:
    """A ``ClaimStore`` in the gateway's database."""

    def __init__(self, folder: Path) -> None:
        self.database = EdgeDatabase(folder / FILE, SCHEMA, "FULL")
        self.require_fact = self.database.require_fact

    def epoch(self, now_us: int) -> int:
        """Return when the store was made."""
        return int(self.database.fact("epoch", str(now_us)))

    def standing(self, claim_ids: Sequence[str]) -> list[Standing | None]:
        """Return what stands under each claim id."""
        return [self._find(claim_id) for claim_id in claim_ids]

    def claim(self, wanted: Sequence[Claim], appended: Collection[str]) -> list[Standing]:
        """Claim in one transaction; return what stands for each."""
        with self.database.transaction() as connection:
            connection.executemany(_MARK, [(claim_id,) for claim_id in appended])
            new = {each.claim_id for each in wanted if connection.execute(_CLAIM, _row(each)).rowcount}
        standing = (
            Standing(each, appended=False) if each.claim_id in new else self._find(each.claim_id) for each in wanted
        )
        return [each for each in standing if each is not None]

    def unappended(self) -> Iterator[Claim]:
        """Return the claims to append, oldest first."""
        for row in self.database.connection.execute(_UNAPPENDED):
            yield Claim(*row)

    def keep(self, document_id: str, content: bytes) -> bytes:
        """Keep what came first under an id, and return that."""
        self.database.connection.execute("INSERT OR IGNORE INTO documents VALUES (?, ?)", (document_id, content))
        return self.kept(document_id) or content

    def kept(self, document_id: str) -> bytes | None:
        """Return what was kept under an id."""
        found = self.database.connection.execute(
            "SELECT content FROM documents WHERE id = ?", (document_id,)
        ).fetchone()
        return None if found is None else bytes(found[0])

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _find(self, claim_id: str) -> Standing | None:
        row = self.database.connection.execute(_FIND, (claim_id,)).fetchone()
        return None if row is None else Standing(Claim(*row[1:]), bool(row[0]))


def _row(claim: Claim) -> tuple[str | bytes | int, ...]:
    """Return a claim in the order of ``_COLUMNS``."""
    return (
        claim.claim_id,
        claim.tenant,
        claim.client,
        claim.digest,
        claim.received_us,
        claim.verification_id,
        claim.record,
    )
