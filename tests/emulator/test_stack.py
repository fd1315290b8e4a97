"""The stack of real processes: the main job on it, what stops it, and what chaos leaves of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from demo.stack import needed
from tests.emulator.kcl_under_test import skip_unless_installed
from tests.emulator.left_behind import processes_in

pytestmark = [pytest.mark.emulator, pytest.mark.kcl, pytest.mark.stack, pytest.mark.e2e, pytest.mark.slow]

PAYMENTS = Path(sys.executable).with_name("payments")
SECONDS_MAX = 540
"""Of a whole run: far more than it takes, so that only what hangs is ended."""
STOP_SECONDS_MAX = 40
PROCESSES = 21
"""Of a stack: the command, three emulators, six of its own, two fork servers, three daemons, five shards, launchers."""


@pytest.fixture(autouse=True)
def _installed() -> None:
    skip_unless_installed()
    try:
        needed.check()
    except needed.NotInstalledError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def payments(*arguments: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run([PAYMENTS, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_every_payment_is_accounted_for_and_a_replay_of_the_streams_equals_what_was_live(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))

    code, report, said = payments(
        "demo", "--on", "kinesis", "--seconds", "20", "--tps", "20", "--shards", "2", *data, "--json"
    )

    assert code == 0, said
    assert {report[proof] for proof in ("accounted", "conserved", "replay_equal")} == {True}
    assert report["submitted"] == 400
    assert len(report["chain_heads"]) == 5
    assert processes_in(tmp_path) == []


def test_chaos_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    pace = ("--seconds", "45", "--tps", "20", "--kill-seconds", "15", "--dropped", "0.02")

    code, report, said = payments("chaos", *pace, "--data", str(tmp_path), "--json")

    assert code == 0, said
    assert (report["lost"], report["twice"], report["problems"]) == (0, 0, [])
    assert report["replay_equal"]
    assert sum(report["killed"].values()) >= 2
    assert len(report["resharded"]) == 2
    assert report["faults"]["dropped"] > 0
    assert report["audited"] >= 850


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stack_that_is_told_to_stop_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    process = subprocess.Popen(
        [PAYMENTS, "stack", "--minutes", "5", "--tps", "5", "--data", str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    try:
        health = address_of("authorise", process)
        with urlopen(health, timeout=10) as answer:  # noqa: S310 - of our own
            assert {shard["stage"] for shard in json.load(answer)["shards"]} == {"control", "authorise"}
        assert len(processes_in(tmp_path)) >= PROCESSES
        process.send_signal(how)
        assert process.wait(STOP_SECONDS_MAX) == 0
    finally:
        process.kill()
        process.communicate()
    assert processes_in(tmp_path) == []


def address_of(name: str, process: subprocess.Popen[str]) -> str:
    """Return where ``name`` is, as the stack says when it is up."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(name):
            return line.split()[1]
    raise AssertionError("the stack ended without a word of " + name)
