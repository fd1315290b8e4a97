"""What a run of the demo came to, and whether it adds up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replay.verify import ShardVerdict

OUTCOMES = ("settled", "rejected", "held", "repeated", "conflicts", "parked", "limbo")
"""How a submitted record ends; the counts are disjoint.  An expired payment is a rejected one."""


@dataclass(frozen=True, slots=True)
class CyclePosition:
    """What a settlement account ended a cycle with, in minor units: above zero it is owed, below zero it owes."""

    cycle: int
    account: str
    currency: str
    net_minor: int


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run."""

    began_us: int
    """When this start of the run began, microseconds since the epoch, UTC."""
    seed: int
    shards: int
    """Of each stream, at first."""
    seconds: float
    submitted: int
    outcomes: Mapping[str, int]
    """By the names in ``OUTCOMES``."""
    in_flight: int
    limbo_minor: Mapping[str, int]
    """By currency."""
    tps: float
    latency_ms: Mapping[str, Mapping[str, float]]
    """``decision`` and ``settled``: p50, p95, p99 and max."""
    positions: Sequence[CyclePosition]
    settled_nets: Mapping[tuple[int, str], int]
    """(cycle, settlement account) -> net in minor units, added up from the settled payments one by one."""
    verdicts: Sequence[ShardVerdict]
    restarts: Mapping[str, int]
    """Processes that were killed, and started again."""
    clients: Mapping[str, object] | None = None
    """What the gateway's clients saw (``simulated_clients``), where there were any."""
    settled_per_second: Sequence[int] = field(default_factory=tuple)
    decision_ms: Sequence[float] = field(default_factory=tuple)
    settled_ms: Sequence[float] = field(default_factory=tuple)

    @property
    def accounted(self) -> bool:
        """Say whether every submitted record has exactly one outcome, and nothing is under way."""
        return self.submitted == sum(self.outcomes.values()) + self.in_flight and self.in_flight == 0

    @property
    def positions_sum(self) -> dict[str, int]:
        """Return the sum of all net positions by currency: zero, or money was made or lost."""
        sums: dict[str, int] = {}
        for position in self.positions:
            sums[position.currency] = sums.get(position.currency, 0) + position.net_minor
        return dict(sorted(sums.items()))

    @property
    def conserved(self) -> bool:
        """Say whether every cycle nets to zero per currency, and to what its payments add up to one by one."""
        sums: dict[tuple[int, str], int] = {}
        nets: dict[tuple[int, str], int] = {}
        for position in self.positions:
            of_cycle = (position.cycle, position.currency)
            sums[of_cycle] = sums.get(of_cycle, 0) + position.net_minor
            of_account = (position.cycle, position.account)
            nets[of_account] = nets.get(of_account, 0) + position.net_minor
        return not any(sums.values()) and _without_zeros(nets) == _without_zeros(self.settled_nets)

    @property
    def replay_equal(self) -> bool:
        """Say whether the replay of the recorded streams gave every live chain head and state."""
        return bool(self.verdicts) and all(verdict.equal for verdict in self.verdicts)

    @property
    def good(self) -> bool:
        """Say whether the run proves what the project claims."""
        return self.accounted and self.conserved and self.replay_equal

    def as_json(self) -> dict[str, object]:
        """Return the object that ``payments demo --json`` prints."""
        return {
            "seconds": round(self.seconds, 1),
            "submitted": self.submitted,
            **self.outcomes,
            "in_flight": self.in_flight,
            "limbo_minor": dict(self.limbo_minor),
            "tps": round(self.tps, 1),
            "latency_ms": {name: dict(points) for name, points in self.latency_ms.items()},
            "positions_sum": self.positions_sum,
            "accounted": self.accounted,
            "conserved": self.conserved,
            "replay_equal": self.replay_equal,
            "chain_heads": {f"{v.stage}/{v.shard_id}": v.replayed_head.hex() for v in self.verdicts},
            "restarts": dict(self.restarts),
            **({} if self.clients is None else {"clients": dict(self.clients)}),
        }


def _without_zeros(nets: Mapping[tuple[int, str], int]) -> dict[tuple[int, str], int]:
    return {key: net for key, net in nets.items() if net}
