"""Killed at each step of the commit, workers lose nothing and move nothing twice.

Both workers of a demo die at the same step, twice each (``dying_worker``), while payments come in.  A run mostly waits,
so two are under way at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import pytest

from demo.report import Report
from demo.run import WORKERS, Plan
from tests.e2e.audit import assert_every_payment_ended_once
from tests.e2e.dying_worker import DEATHS, Deaths, Step
from tests.e2e.runs import EVERYBODY_ANSWERS, SECONDS_MAX, DemoUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

RUNS_AT_ONCE = 2


@dataclass(frozen=True)
class RunWithDeaths:
    """A run whose workers die at one step, under way."""

    plan: Plan
    report: Future[Report]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[Step, RunWithDeaths]]:
    plans = {
        step: Plan(tmp_path_factory.mktemp(step), 2.0, 50.0, shards=2, seed=EVERYBODY_ANSWERS, cycle_seconds=1.5)
        for step in Step
    }
    with ProcessPoolExecutor(RUNS_AT_ONCE, mp_context=get_context("spawn")) as pool:
        yield {step: RunWithDeaths(plan, pool.submit(run_with_deaths_at, step, plan)) for step, plan in plans.items()}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("step", list(Step))
def test_workers_killed_at_a_step_of_the_commit_lose_nothing_and_move_nothing_twice(
    step: Step, runs: Mapping[Step, RunWithDeaths]
) -> None:
    run = runs[step]

    report = run.report.result(SECONDS_MAX * len(Step))

    for worker in WORKERS:
        assert Deaths(run.plan.folder / worker).so_far() == [step] * DEATHS
    assert report.restarts == dict.fromkeys(WORKERS, DEATHS)
    assert (report.accounted, report.conserved, report.replay_equal) == (True, True, True)
    assert_every_payment_ended_once(run.plan)


def run_with_deaths_at(step: Step, plan: Plan) -> Report:
    """Run a demo whose workers die at ``step``."""
    demo = DemoUnderTest(plan)
    demo.take_snapshots_every(0.5)
    for name in WORKERS:
        worker = demo.fleet.member(name)
        _, _, *options = worker.arguments  # agents.cli worker …
        worker.arguments = ("tests.e2e.dying_worker", "--dies", f"{name}:{step}", *options)
    return demo.run()
