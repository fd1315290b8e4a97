"""The simulator: a seed is a run, many seeds are clean and show everything, and one death anywhere breaks nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from chaos.simulator.faults import Fault
from chaos.simulator.simulate import Sweep, simulate, sweep
from tests.simulation.one_crash import crash, how_often

ROOT = Path(__file__).parents[2]
SEEDS = 40
PAYMENTS = 150
FAR_TOO_MANY, PATIENCE_SECONDS = 100_000, 90
"""Orders that a world is not through with in so many seconds."""
MOMENTS = [fault for fault in Fault if fault.name.startswith("CRASH_")]


@pytest.fixture(scope="module")
def swept() -> Sweep:
    return sweep(range(SEEDS), PAYMENTS, None, lambda _result: None)


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield pool


def test_whatever_happens_no_invariant_breaks(swept: Sweep) -> None:
    assert [(result.seed, result.problems) for result in swept.failed] == []


def test_everything_that_can_go_wrong_has_gone_wrong_and_was_recovered_from(swept: Sweep) -> None:
    assert swept.never == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_one_crash_at_each_moment_breaks_nothing(moment: Fault, processes: ProcessPoolExecutor) -> None:
    times = how_often(moment)

    results = list(processes.map(partial(crash, moment), range(1, times + 1), chunksize=4))

    assert times > 0
    assert all(result.faults[moment] == 1 for result in results)
    assert [result.problems for result in results if result.problems] == []


def test_a_seed_decides_everything() -> None:
    first, second, other = simulate(7, 60), simulate(7, 60), simulate(8, 60)

    assert first.digest == second.digest != other.digest


def test_a_seed_is_the_same_run_in_every_process() -> None:
    here = simulate(7, 60).digest

    assert [_digest_in_a_process(hash_seed) for hash_seed in ("1", "2")] == [here, here]


def test_a_sweep_that_is_interrupted_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    code = f"""
import os, signal, threading, time
from multiprocessing import active_children
from pathlib import Path
from chaos.simulator import simulate

simulate.SCRATCH = Path({str(tmp_path)!r})

def interrupt():
    while not list(simulate.SCRATCH.rglob("payments-simulate-*")):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
    threading.Thread(target=interrupt).start()
    try:
        simulate.sweep(range(4), {FAR_TOO_MANY}, 2, print)
    except KeyboardInterrupt:
        print(active_children())
"""
    (tmp_path / "program.py").write_text(code)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )

    assert done.stdout == "[]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def _digest_in_a_process(hash_seed: str) -> str:
    code = "from chaos.simulator.simulate import simulate; print(simulate(7, 60).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
