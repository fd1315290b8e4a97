"""What the participants know: a view of the run that owes nothing to the clearing's books or to the projector's.

Each has what was sent to it, and what it was told of how payments ended, its own and those it received.  From that
come its settled payments in and out, which must give the nets that the clearing told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agents.edge.database import read_only
from agents.edge.participants import FILE
from agents.streams import settlement_account

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ConfirmedFlow(NamedTuple):
    """What a participant was told has settled, in minor units."""

    participant: str
    currency: str
    paid_in: int
    paid_out: int


class ParticipantQueries:
    """Reads the simulated participants' store, while it is written or not."""

    def __init__(self, folder: Path) -> None:
        self._connection = read_only(folder / FILE)

    def flows(self) -> list[ConfirmedFlow]:
        """Return the settled payments in and out, by participant and currency."""
        rows = self._connection.execute(
            """
            SELECT recipient, currency,
                   SUM(CASE WHEN recipient = responder THEN minor ELSE 0 END),
                   SUM(CASE WHEN recipient = confirmed.instructing_agent THEN minor ELSE 0 END)
            FROM confirmed JOIN received USING (instructing_agent, transaction_id)
            WHERE settled GROUP BY recipient, currency ORDER BY recipient, currency
            """
        )
        return [ConfirmedFlow(*row) for row in rows]

    def nets(self, settles_through: Mapping[str, str]) -> dict[str, int]:
        """Return, by settlement account, what its participants took in less what they paid out; zeros are left out.

        ``settles_through`` says by BIC whose settlement accounts a participant uses.
        """
        nets: dict[str, int] = {}
        for flow in self.flows():
            account = settlement_account(settles_through[flow.participant], flow.currency)
            nets[account] = nets.get(account, 0) + flow.paid_in - flow.paid_out
        return {account: net for account, net in sorted(nets.items()) if net}

    def has_received(self, instructing_agent: str, transaction_id: str, responder: str) -> bool:
        """Say whether a payment has reached the participant that is to take it."""
        query = "SELECT 1 FROM received WHERE instructing_agent = ? AND transaction_id = ? AND responder = ?"
        return self._connection.execute(query, (instructing_agent, transaction_id, responder)).fetchone() is not None

    def contradicted(self) -> int:
        """Return how many times a participant was told two endings of one payment; anything but 0 is an alarm."""
        return self._count("SELECT COUNT(*) FROM confirmed WHERE contradicted")

    def sent_again(self) -> int:
        """Return how many payments reached their participant more than once; anything but 0 is an alarm."""
        return self._count("SELECT COUNT(*) FROM received WHERE deliveries > 1")

    def reversals(self) -> int:
        """Return how many payments were accepted by their receiver, failed, and were reversed there."""
        return self._count(
            """
            SELECT COUNT(*) FROM confirmed JOIN received USING (instructing_agent, transaction_id)
            WHERE recipient = responder AND NOT settled AND accepted AND answer_us IS NOT NULL
            """
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _count(self, query: str) -> int:
        (count,) = self._connection.execute(query).fetchone()
        return int(count)
