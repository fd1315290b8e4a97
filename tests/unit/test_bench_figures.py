"""From measurements to figures: nothing is counted twice, and nothing is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.figures import ENGINE, PARTS, bytewax_figures_of, figures_of
from bench.measurement import Measurement, Spent
from bench.prepared import Prepared

PREPARED = Prepared(accounts=10, payments=1_000, claims=0, shard_id="shard-0", first_order=1, last_order=2)


def a_clean_run() -> Measurement:
    phases = {
        "read": Spent(0.001, 0.001, 0.001),
        "step": Spent(0.022, 0.020, 0.018),
        "publish": Spent(0.006, 0.002, 0.001),
        "commit": Spent(0.001, 0.001, 0.001),
    }
    portions = [Spent(0.003, 0.0024, 0.002)] * 9 + [Spent(0.300, 0.0024, 0.002)]
    return Measurement(PREPARED, 0, Spent(0.030, 0.024, 0.021), 990, 64.0, phases, portions, [100] * 10)


def a_watched_run() -> Measurement:
    parts = {"decode": 0.010, "agents": 0.020, "state": 0.004, "encode": 0.002, "chain": 0.002, "rest": 0.002}
    return Measurement(PREPARED, 0, Spent(0.060, 0.050, 0.050), 990, 70.0, step_parts=parts)


def test_the_parts_add_up_to_the_total() -> None:
    figures = figures_of(a_clean_run(), a_watched_run())

    assert tuple(figures.parts) == PARTS
    assert sum(figures.parts.values()) == pytest.approx(figures.us_per_payment, abs=0.05)
    assert sum(figures.cpu_parts.values()) == pytest.approx(figures.cpu_us_per_payment, abs=0.05)


def test_a_part_of_the_step_has_the_share_that_it_had_under_the_stopwatch() -> None:
    figures = figures_of(a_clean_run(), a_watched_run())

    assert figures.parts["agents"] == 10.0  # half of the 20 us that the step took for itself
    assert figures.cpu_parts["agents"] == 9.0


def test_state_is_the_commit_what_tables_read_and_what_the_stores_threads_did_meanwhile() -> None:
    assert figures_of(a_clean_run(), a_watched_run()).parts["state"] == 1.0 + 2.0 + 2.0


def test_threads_on_other_cores_take_no_time_by_the_clock() -> None:
    figures = figures_of(replace(a_clean_run(), core=None), a_watched_run())

    assert (figures.parts["agents"], figures.parts["state"]) == (11.0, 1.0 + 2.2)
    assert figures.cpu_parts["state"] == 1.0 + 1.8 + 2.0


def test_the_engine_is_read_decode_state_and_publish() -> None:
    figures = figures_of(a_clean_run(), a_watched_run())

    assert figures.engine_us_per_payment == pytest.approx(sum(figures.parts[part] for part in ENGINE), abs=0.01)
    assert figures.engine_us_per_payment == 17.0
    assert figures.without_agents_us_per_payment == 20.0


def test_one_portion_that_was_disturbed_does_not_change_the_median() -> None:
    assert figures_of(a_clean_run(), a_watched_run()).payments_per_second_median == round(100 / 0.003)


def test_a_ratio_above_one_says_that_we_are_faster() -> None:
    ours = figures_of(a_clean_run(), a_watched_run())
    theirs = Measurement(PREPARED, 0, Spent(0.060, 0.036, 0.036), 990, 80.0)

    figures = bytewax_figures_of(theirs, ours, "0.21.1")

    assert (figures.ratio, figures.ratio_cpu) == (2.0, 1.5)
