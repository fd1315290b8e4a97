"""Kill any process of a running demo at any moment: nothing is lost, nothing happens twice.

Every process is killed as often as every other, in an order and at moments drawn from a seed; the demo starts it again
with what it finds in its folder.  Every second time a worker is killed its state is taken away too, as if another
machine took over: then it starts from its snapshots.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from random import Random

import pytest

from agents.edge.participant_queries import ParticipantQueries
from demo.fleet import Fleet, Member
from demo.run import WORKERS, Plan
from tests.e2e.audit import assert_every_payment_ended_once
from tests.e2e.runs import EVERYBODY_ANSWERS, DemoUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KILLS_OF_EACH = 4
SECONDS_BETWEEN_KILLS = (0.3, 1.1)


def test_nothing_is_lost_or_happens_twice_whatever_is_killed(tmp_path: Path) -> None:
    demo = DemoUnderTest(Plan(tmp_path, 15.0, 100.0, shards=4, seed=1))
    demo.take_snapshots_every(1.0)

    report = demo.run(kill_everybody_often(demo, Random(1)))

    assert report.restarts.keys() == {member.name for member in demo.fleet.members}
    assert sum(report.restarts.values()) >= 20
    assert (report.accounted, report.conserved, report.replay_equal) == (True, True, True)
    assert_every_payment_ended_once(demo.plan)
    told = ParticipantQueries(tmp_path / "participants")
    assert (told.contradicted(), told.sent_again()) == (0, 0)


def test_whoever_is_killed_while_the_demo_stops_it_ends_as_well(tmp_path: Path) -> None:
    demo = DemoUnderTest(Plan(tmp_path, 1.0, 50.0, shards=2, seed=EVERYBODY_ANSWERS, cycle_seconds=1.5))
    demo.demo.fleet = KilledWhenToldToStop(demo.fleet.members)

    report = demo.run()

    assert report.restarts == dict.fromkeys(WORKERS, 1)
    assert (report.accounted, report.conserved, report.replay_equal) == (True, True, True)
    assert_every_payment_ended_once(demo.plan)


class KilledWhenToldToStop(Fleet):
    """Kills each member in the moment before it would be told to stop for the first time."""

    def stop(self, member: Member) -> bool:
        if not member.restarts:
            member.kill()
        return super().stop(member)


async def kill_everybody_often(demo: DemoUnderTest, draws: Random) -> None:
    """Kill members of the demo from the first settlement on, each as often as the others unless it has ended."""
    victims = demo.fleet.members * KILLS_OF_EACH
    draws.shuffle(victims)
    await demo.until(lambda: demo.settled > 0)
    for victim in victims:
        await asyncio.sleep(draws.uniform(*SECONDS_BETWEEN_KILLS))
        await demo.until(lambda: victim.done or victim.return_code is None)  # noqa: B023 - awaited at once
        if not victim.done:
            kill(victim, demo.plan.folder)


def kill(victim: Member, folder: Path) -> None:
    """Kill a process; every second time a worker's disk is lost with it, unless it had written nothing yet."""
    victim.kill()
    if victim.name in WORKERS and victim.restarts % 2:
        shutil.rmtree(folder / victim.name / "state", ignore_errors=True)
