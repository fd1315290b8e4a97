"""The simulator finds bugs: a product that breaks one of its rules is caught within a few seeds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from agents.settlement.agent import Settlement
from chaos.simulator.owner import Engine
from chaos.simulator.simulate import simulate
from pipeline.kernel.machine import Machine
from tests.simulation.planted import PLANTED, Catch, agents, hunt, machines, products

ROOT = Path(__file__).parents[2]
UNBROKEN = {
    "machine": Engine(shard=machines.shard_of(Machine)),
    "parts of a machine": Engine(shard=machines.shard_of(machines.WithOtherParts)),
    "hub": Engine(product=products.hub()),
    "clearing": Engine(product=products.clearing(lambda _time: Settlement)),
    "parts of the clearing": Engine(product=products.clearing(lambda _time: agents.WithOtherParts)),
}


@pytest.fixture(scope="module")
def hunts(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Catch | None]]]:
    """Hunt all bugs that were asked for, as many at a time as there are cores."""
    wanted = [item.callspec.params.get("bug") for item in request.session.items if hasattr(item, "callspec")]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield {bug: pool.submit(hunt, bug) for bug in wanted if bug is not None}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(bug: str, hunts: Mapping[str, Future[Catch | None]]) -> None:
    planted = PLANTED[bug]

    caught = hunts[bug].result()

    assert caught is not None, f"none of {planted.seeds} seeds notices a product that {bug}"
    assert set(caught.broken) & set(planted.shows), f"a product that {bug} must show by {planted.shows}: {caught}"


@pytest.mark.parametrize("part", UNBROKEN)
def test_what_bugs_are_planted_into_is_the_product(part: str) -> None:
    assert simulate(3, 30, UNBROKEN[part]).digest == simulate(3, 30).digest


def test_an_order_that_is_a_sets_shows_between_two_processes() -> None:
    code = """
from chaos.simulator.owner import Engine
from chaos.simulator.simulate import simulate
from tests.simulation.planted import agents, products
engine = Engine(product=products.clearing(lambda _time: agents.ConfirmsInTheOrderOfASet))
print(simulate(0, 30, engine).digest)
"""

    assert len({_printed(code, hash_seed) for hash_seed in "123"}) > 1


def test_the_page_of_the_invariants_names_only_bugs_that_are_planted() -> None:
    page = (ROOT / "docs" / "invariants.md").read_text()

    named = [
        bug for bugs in re.findall(r"planted: ((?:\*[^*]+\*(?:, )?)+)", page) for bug in re.findall(r"\*(.+?)\*", bugs)
    ]

    assert named
    assert set(named) <= set(PLANTED)


def _printed(code: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout
