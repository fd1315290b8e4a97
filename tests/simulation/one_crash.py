"""A small world in which nothing goes wrong but for one crash; shards are split and merged there all the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

from agents.streams import CLEARING, PAYMENTS
from chaos.simulator.faults import Fault, Odds
from chaos.simulator.owner import Activity, Engine, Owner
from chaos.simulator.simulate import SeedResult, be_quiet, simulate
from chaos.simulator.world import DRAIN_US, World
from chaos.virtual_time import MINUTE_US, SECOND_US, START_US

SEED: Final = 0
ORDERS: Final = 6
_SPLIT_US = 7 * SECOND_US
_MERGED_US = 10 * SECOND_US


class _NoOdds(Odds):
    """Nothing happens by chance."""

    def of(self, fault: Fault, base: float) -> float:
        return 0.0


class OneCrash(World):
    """Whoever is the ``number``-th to come to ``moment`` dies there."""

    odds_type = _NoOdds
    calm_tick_us = 25 * MINUTE_US
    moment: ClassVar[Fault]
    number: ClassVar[int]

    def __init__(self, seed: int, orders: int, scratch: Path, engine: Engine) -> None:
        super().__init__(seed, orders, scratch, engine)
        self.came = 0

    def run(self) -> None:
        for stream in (PAYMENTS, CLEARING):
            self.after(_SPLIT_US, partial(self._happenings._split, stream))
            self.after(_MERGED_US, partial(self._happenings._merge, stream))
        super().run()

    def _move(self, owner: Owner, activity: Activity) -> None:
        super()._move(owner, activity)
        has_time_left = self.time.us < START_US + DRAIN_US  # who dies when all is over is not replaced
        if has_time_left and activity.moment is self.moment and activity in owner.activities:
            self.came += 1
            if self.came == self.number:
                self.fleet.kill(owner, activity)


def crash(moment: Fault, number: int) -> SeedResult:
    """Let the ``number``-th who comes to ``moment`` die, and return what came of it."""
    be_quiet()
    return simulate(SEED, ORDERS, kind=_world(moment, number))


def how_often(moment: Fault) -> int:
    """Return how many come to ``moment`` where nobody dies."""
    with TemporaryDirectory() as scratch:
        world = _world(moment, 0)(SEED, ORDERS, Path(scratch), Engine())
        world.run()
        world.close()
    return world.came


def _world(at: Fault, the: int) -> type[OneCrash]:
    class World(OneCrash):
        moment = at
        number = the

    return World
