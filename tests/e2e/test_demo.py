"""``payments demo`` as a user runs it: the command, what it prints, its exit codes, and how it goes on when killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from agents.edge.projector_queries import open_queries
from agents.edge.projector_store import FILE as PROJECTOR_FILE
from demo.report import OUTCOMES
from demo.run import Plan
from tests.e2e.audit import assert_every_payment_ended_once, audit
from tests.e2e.runs import LOOK_SECONDS, SECONDS_MAX

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PAYMENTS = Path(sys.executable).with_name("payments")
ENDED_WELL, USAGE, COULD_NOT_BE_DONE = 0, 2, 3


@dataclass(frozen=True)
class Finished:
    """A run of the command to its end, of everything by default but shorter."""

    data: Path
    page: Path
    exit_code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    data, page = folder / "data", folder / "report"
    done = payments("demo", "--seconds", "3", "--data", str(data), "--report", str(page), "--json")
    return Finished(data, page, done.returncode, done.stdout, done.stderr)


def test_a_run_that_adds_up_ends_with_0(finished: Finished) -> None:
    assert finished.exit_code == ENDED_WELL, finished.stderr
    assert {finished.report[proof] for proof in ("accounted", "conserved", "replay_equal")} == {True}
    assert finished.report["restarts"] == {}


def test_json_is_one_object_on_stdout_and_nothing_else(finished: Finished) -> None:
    assert len(finished.stdout.splitlines()) == 1
    assert finished.report.keys() >= {"submitted", *OUTCOMES, "in_flight", "tps", "chain_heads"}
    assert finished.report["latency_ms"].keys() == {"decision", "settled"}
    for latency in finished.report["latency_ms"].values():
        assert list(latency) == ["p50", "p95", "p99", "max"]
        assert sorted(latency.values()) == list(latency.values())


def test_the_counts_are_disjoint_and_sum_to_what_was_submitted(finished: Finished) -> None:
    report = finished.report

    assert report["submitted"] == 1_500
    assert report["submitted"] == sum(report[outcome] for outcome in OUTCOMES) + report["in_flight"]
    assert report["in_flight"] == 0


def test_the_default_workload_has_some_of_each_kind_and_settles_most(finished: Finished) -> None:
    assert all(finished.report[outcome] > 0 for outcome in OUTCOMES)
    assert finished.report["settled"] >= 0.85 * finished.report["submitted"]


def test_positions_sum_to_zero_in_every_currency(finished: Finished) -> None:
    assert finished.report["positions_sum"] == {"EUR": 0, "GBP": 0}


def test_every_shard_has_a_chain_head(finished: Finished) -> None:
    shards = [f"shardId-{number:012}" for number in range(4)]

    heads = finished.report["chain_heads"]

    assert heads.keys() == {
        "control/shardId-000000000000",
        *(f"{stage}/{shard}" for stage in ("authorise", "settle") for shard in shards),
    }
    assert all(len(bytes.fromhex(head)) == 32 for head in heads.values())


def test_the_log_tells_the_same_story_as_the_report(finished: Finished) -> None:
    found = assert_every_payment_ended_once(Plan(finished.data, 3.0, 500.0, shards=4, seed=1))

    assert len(found.settled()) == finished.report["settled"]
    assert len(found.parked) == finished.report["parked"]


def test_the_report_page_needs_nothing_else_and_shows_plots(finished: Finished) -> None:
    page = (finished.page / "report.html").read_text()

    assert page.count("<svg") >= 2
    assert f"<td>settled</td><td>{finished.report['settled']}</td>" in page
    assert 'src="http' not in page


def test_a_folder_of_another_seed_is_refused_with_3(finished: Finished) -> None:
    done = payments("demo", "--seconds", "3", "--seed", "2", "--data", str(finished.data), "--json")

    assert (done.returncode, done.stdout) == (COULD_NOT_BE_DONE, "")
    assert "seed" in done.stderr


def test_wrong_usage_is_refused_with_2() -> None:
    done = payments("demo", "--tps", "many", "--json")

    assert (done.returncode, done.stdout) == (USAGE, "")


def kill_everything(demo: subprocess.Popen[bytes]) -> None:
    os.killpg(demo.pid, signal.SIGKILL)
    demo.wait()


def kill_the_command_alone(demo: subprocess.Popen[bytes]) -> None:
    """Leave its processes behind: they are told, and stop in their own time."""
    demo.kill()
    demo.wait()


@pytest.mark.parametrize("kill", [kill_everything, kill_the_command_alone])
def test_an_interrupted_run_goes_on_in_its_folder(
    kill: Callable[[subprocess.Popen[bytes]], None], tmp_path: Path
) -> None:
    plan = Plan(tmp_path, 2.0, 50.0, shards=2, seed=3)
    options = ("--seconds", "2", "--tps", "50", "--shards", "2", "--seed", "3", "--data", str(tmp_path), "--json")
    with started("demo", *options) as demo:
        wait_until(lambda: settled(tmp_path) >= 20, demo)
        kill(demo)
        settled_before = audit(plan.log_folder).settled()
        done = payments("demo", *options)

    assert done.returncode == ENDED_WELL, done.stderr
    report = json.loads(done.stdout)
    assert plan.count <= report["submitted"] == sum(report[outcome] for outcome in OUTCOMES)
    found = assert_every_payment_ended_once(plan)
    assert set(settled_before) < set(found.settled())


def payments(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [PAYMENTS, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, check=False, encoding="utf-8"
    )


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command in a group of its own; in the end kill whatever is left of it and of what it started."""
    process = subprocess.Popen(
        [PAYMENTS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return when ``condition`` holds; fail if ``process`` ends or the time of a run is over."""
    end = monotonic() + SECONDS_MAX
    while not condition():
        assert process.poll() is None, "the demo ended before it could be interrupted"
        assert monotonic() < end, "nothing happened"
        sleep(LOOK_SECONDS)


def settled(folder: Path) -> int:
    """Return how many payments the projector knows to have settled."""
    if not (folder / "projector" / PROJECTOR_FILE).exists():
        return 0
    queries = open_queries(folder / "projector")
    try:
        return queries.counts().settled if queries.are_possible() else 0
    finally:
        queries.close()
