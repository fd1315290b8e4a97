"""Killed at each step of the commit, workers lose nothing and move nothing twice.

Both workers of a demo die at the same step, twice each (``dying_worker``), while payments come in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.run import Plan
from tests.e2e.audit import assert_every_payment_ended_once
from tests.e2e.dying_worker import DEATHS, Deaths, Step
from tests.e2e.runs import DemoUnderTest

pytestmark = pytest.mark.e2e

WORKERS = ("authorise", "settle")
EVERYBODY_ANSWERS = 3
"""A seed whose first hundred payments are all answered in time, so that a run need not wait for a deadline."""


@pytest.fixture(autouse=True)
def _frequent_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_WORKER_SNAPSHOT_SECONDS", "0.5")


@pytest.mark.parametrize("step", list(Step))
def test_workers_killed_at_a_step_of_the_commit_lose_nothing_and_move_nothing_twice(step: Step, tmp_path: Path) -> None:
    demo = a_demo_whose_workers_die_at(step, tmp_path)

    report = demo.run()

    for worker in WORKERS:
        assert Deaths(tmp_path / worker).so_far() == [step] * DEATHS
    assert report.restarts == dict.fromkeys(WORKERS, DEATHS)
    assert (report.accounted, report.conserved, report.replay_equal) == (True, True, True)
    assert_every_payment_ended_once(demo.plan)


def a_demo_whose_workers_die_at(step: Step, folder: Path) -> DemoUnderTest:
    plan = Plan(folder, 2.0, 50.0, shards=2, seed=EVERYBODY_ANSWERS, cycle_seconds=1.5)
    demo = DemoUnderTest(plan)
    for name in WORKERS:
        member = demo.fleet.member(name)
        _, _, *options = member.arguments  # agents.cli worker …
        member.arguments = ("tests.e2e.dying_worker", "--dies", f"{name}:{step}", *options)
    return demo
