"""A small world in which nothing goes wrong but for one crash; still, a shard is split there, and two are merged."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from agents.streams import CLEARING, PAYMENTS
from chaos.simulator.faults import Fault, Odds
from chaos.simulator.owner import Activity, Engine, Owner
from chaos.simulator.world import World
from chaos.virtual_time import SECOND_US, finished

_SPLIT_US = 6 * SECOND_US
_MERGED_US = 9 * SECOND_US


class _NoOdds(Odds):
    """Nothing happens by chance."""

    def of(self, fault: Fault, base: float) -> float:
        return 0.0


class OneCrash(World):
    """Whoever is at ``moment`` for the ``number``-th time dies."""

    moment: ClassVar[Fault]
    number: ClassVar[int]

    def __init__(self, seed: int, orders: int, scratch: Path, engine: Engine) -> None:
        super().__init__(seed, orders, scratch, engine)
        self.odds.__class__ = _NoOdds
        self._happenings = Happenings(self)

