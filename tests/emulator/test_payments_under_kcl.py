"""The product under KCL: payments from submission to settlement, whatever becomes of shards, workers and daemons."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agents.streams import CLEARING, OUTCOMES, PAYMENTS
from demo.lag import health
from tests.aws_under_test import aws_server
from tests.emulator import kinesis_local
from tests.emulator.kcl_under_test import (
    FIRST,
    SECOND,
    daemons_of,
    environment_of,
    kill_groups_of,
    skip_unless_installed,
    suspended,
)
from tests.emulator.payments_under_test import STAGES, Scene

pytestmark = [pytest.mark.emulator, pytest.mark.kcl, pytest.mark.e2e, pytest.mark.slow]

COUNT = 120
ALL_SHARDS = 1 + 2 + 2
"""Of the control stage, the authorise stage and the settle stage, while none was resharded."""


@pytest.fixture
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Return a scene with as many workers as the test says."""
    skip_unless_installed()
    with aws_server() as dynamodb:

        def settings(emulator: kinesis_local.KinesisLocal, account: str) -> Mapping[str, str]:
            return environment_of(emulator, account, dynamodb)

        workers = dict.fromkeys(request.param, STAGES)
        scene = Scene(tmp_path, f"kcl:{kinesis_local.REGION}", workers, COUNT, settings)
        yield scene
        scene.close()


@pytest.mark.parametrize("scene", [("worker",)], indirect=True)
def test_payments_settle_once_whatever_is_split_merged_killed_and_stopped_meanwhile(scene: Scene) -> None:
    found = scene.run(split_a_source_and_destination, merge_a_destination, kill_a_shard, kill_a_daemon, stop_in_order)

    verdicts = scene.audited(found)
    assert {(verdict.stage, verdict.shard_id) for verdict in verdicts} >= {
        ("authorise", "shardId-000000000003"),
        ("settle", SECOND),
    }
    assert len(verdicts) == 1 + 4 + 3


@pytest.mark.parametrize("scene", [("worker", "another")], indirect=True)
def test_payments_settle_once_whoever_has_a_shard_and_whoever_still_thinks_so(scene: Scene) -> None:
    found = scene.run(balance, suspend_past_the_leases, balance, lose_a_machine, leave_all_to_one)

    assert len(scene.audited(found)) == 1 + 2 + 2


def split_a_source_and_destination(scene: Scene) -> None:
    """Split a shard that the authorise stage reads, and that the settle stage puts credits into."""
    scene.split(PAYMENTS, FIRST)


def merge_a_destination(scene: Scene) -> None:
    """Merge the shards that both stages put outcomes into, and those that the settle stage reads."""
    scene.merge(OUTCOMES, FIRST, SECOND)
    scene.merge(CLEARING, FIRST, SECOND)


def kill_a_shard(scene: Scene) -> None:
    """Kill the process of a shard, in the middle of what it does."""
    shards = health(scene.ports["worker"])["shards"]
    os.kill(shards[-1]["pid"], signal.SIGKILL)


def kill_a_daemon(scene: Scene) -> None:
    """Kill one of the worker's daemons; its supervisor starts it anew."""
    os.kill(daemons_of(scene.fleet.member("worker").pid)[0], signal.SIGKILL)


def stop_in_order(scene: Scene) -> None:
    """Stop the worker with SIGTERM; it is started again, and goes on where it was."""
    assert scene.fleet.stop(scene.fleet.member("worker"))


def balance(scene: Scene) -> None:
    """Wait until both workers have shards of the stages that have two, and together all."""

    def is_balanced() -> bool:
        owned = [scene.owned_by(name) for name in ("worker", "another")]
        return all(owned) and not owned[0] & owned[1] and len(owned[0] | owned[1]) == ALL_SHARDS

    scene.wait_until(is_balanced, "the two workers do not share the shards")


def suspend_past_the_leases(scene: Scene) -> None:
    """Stop all processes of one worker where they are until the other has every shard, and then let them go on."""
    with suspended(scene.fleet.member("worker").pid):
        until_the_other_has_every_shard(scene)


def lose_a_machine(scene: Scene) -> None:
    """Kill all processes of one worker at once; it is started again when the other has every shard."""
    worker = scene.fleet.member("worker")
    kill_groups_of(worker.pid)
    worker.kill()
    until_the_other_has_every_shard(scene)


def leave_all_to_one(scene: Scene) -> None:
    """Stop one worker with SIGTERM, for good; the one that was lost before takes over."""
    leaving = scene.fleet.member("another")
    assert scene.fleet.stop(leaving)
    scene.fleet.members.remove(leaving)


def until_the_other_has_every_shard(scene: Scene) -> None:
    scene.wait_until(lambda: len(scene.owned_by("another")) == ALL_SHARDS, "the other worker does not take over")
