"""``payments bench`` measures, and prints what it says it prints.  How fast anything is, is no test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.figures import ENGINE, PARTS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TINY = ("--accounts=200", "--many-accounts=400", "--claims=500", "--payments=1000")


@pytest.fixture(scope="module")
def ended() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agents.cli", "bench", "--json", *TINY]
    return subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def printed(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    figures: dict[str, Any] = json.loads(ended.stdout)
    return figures


def test_it_prints_one_object_with_both_worlds_and_the_machine(printed: dict[str, Any]) -> None:
    assert printed.keys() == {
        "authorise",
        "authorise_million",
        "million_over_ten_thousand",
        "million_over_ten_thousand_cpu",
        "resident_mib_max",
        "kcl_child",
        "bytewax",
        "machine",
    }
    assert (printed["authorise"]["accounts"], printed["authorise_million"]["accounts"]) == (200, 400)
    assert printed["authorise_million"]["claims"] == 500
    assert {"cpu", "cores", "python", "compiled", "load_before"} <= printed["machine"].keys()


def unseen(printed: dict[str, Any]) -> tuple[str, ...]:
    """Return the parts that may be 0: a compiled step lets no stopwatch in where the chain is."""
    return ("rest", "chain") if printed["machine"]["compiled"] else ("rest",)


@pytest.mark.parametrize("world", ["authorise", "authorise_million"])
def test_the_parts_add_up_and_none_is_missing(printed: dict[str, Any], world: str) -> None:
    figures = printed[world]

    assert tuple(figures["parts"]) == PARTS
    assert all(figures["parts"][part] > 0 for part in PARTS if part not in unseen(printed))
    assert sum(figures["parts"].values()) == pytest.approx(figures["us_per_payment"], abs=0.1)
    assert sum(figures["cpu_parts"].values()) == pytest.approx(figures["cpu_us_per_payment"], abs=0.1)
    engine = sum(figures["parts"][part] for part in ENGINE)
    assert figures["engine_us_per_payment"] == pytest.approx(engine, abs=0.1)


def test_most_payments_are_authorised(printed: dict[str, Any]) -> None:
    assert printed["authorise"]["authorised"] > 900


def test_payments_are_heard_from_a_daemon_at_a_cost(printed: dict[str, Any]) -> None:
    child = printed["kcl_child"]

    assert child["payments"] == 1_000
    added = child["from_the_daemon_cpu_us"] - child["from_the_log_cpu_us"]
    assert child["added_cpu_us_per_payment"] == pytest.approx(added, abs=0.02)


def test_bytewax_is_compared_or_its_absence_is_told(
    ended: subprocess.CompletedProcess[str], printed: dict[str, Any]
) -> None:
    if printed["bytewax"] is None:
        assert "bytewax is not installed" in ended.stderr
    else:
        assert printed["bytewax"]["authorised"] == printed["authorise"]["authorised"]
        assert printed["bytewax"]["ratio"] > 0


def test_people_get_a_table_on_stderr(ended: subprocess.CompletedProcess[str]) -> None:
    assert "us per payment" in ended.stderr
    assert "publish" in ended.stderr
