from __future__ import annotations

from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from typer.testing import CliRunner

import agents
from agents import app as composition_root
from agents import topology
from agents.app import STAGES, ForeignPackageError, check_packages, stages_named
from agents.cli import app
from pipeline.kernel.hashrange import FULL_RANGE
from pipeline.kernel.position import Source
from pipeline.publisher import Publisher
from pipeline.restore import genesis_rows
from pipeline.shard import Shard
from pipeline.state.memory import MemoryStore
from pipeline.stream_logs.memory import MemoryLog
from tests.virtual_clock import VirtualClock

runner = CliRunner()


def test_every_stage_of_the_topology_can_be_named() -> None:
    assert STAGES == {"authorise": topology.AUTHORISE, "settle": topology.SETTLE, "control": topology.CONTROL}


def test_stages_are_run_as_named_and_once() -> None:
    assert stages_named(["settle", "control", "settle"]) == [topology.SETTLE, topology.CONTROL]
    assert stages_named(["settle", "all"]) == list(STAGES.values())


def test_our_own_packages_are_no_strangers() -> None:
    check_packages()


def test_a_package_of_another_distribution_under_our_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = ModuleType("agents")
    stranger.__file__ = "/usr/lib/python3/site-packages/agents/__init__.py"
    monkeypatch.setattr(composition_root, "agents", stranger)
    with pytest.raises(ForeignPackageError, match="'agents' comes from /usr/lib/python3/site-packages/agents"):
        check_packages()
    assert agents.__file__ is not None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["worker"], "Missing option '--log'"),
        (["worker", "--log", "kafka:9092"], "names no log; one is local:DIR"),
        (["worker", "--log", "local:x", "--stage", "setle"], "'setle' is none of authorise, settle, control, all"),
        (["wroker"], "No such command"),
    ],
)
def test_wrong_usage_is_said_and_is_2(arguments: list[str], complaint: str) -> None:
    result = runner.invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 2
    assert complaint in result.output


def test_a_setting_that_is_wrong_is_wrong_usage() -> None:
    result = runner.invoke(
        app, ["worker", "--log", "local:x"], env={"PAYMENTS_WORKER_TIKC_MS": "5", "COLUMNS": "200", "NO_COLOR": "1"}
    )
    assert result.exit_code == 2
    assert "did you mean PAYMENTS_WORKER_TICK_MS?" in result.output


def test_a_wrong_command_line_makes_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner.invoke(app, ["worker", "--log", "local:x", "--stage", "setle"])
    assert list(tmp_path.iterdir()) == []


def test_a_shard_is_made_without_teaching_msgspec_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are restored in threads, and a type that msgspec is being taught crashes whoever decodes it meanwhile."""

    def taught(*_: object, **__: object) -> None:
        pytest.fail("a decoder is made while a shard is")

    for form in (msgspec.msgpack, msgspec.json):
        monkeypatch.setattr(form, "Decoder", taught)
        monkeypatch.setattr(form, "decode", taught)
    source = Source("log", "stream", "shard")
    for stage in STAGES.values():
        store = MemoryStore()
        store.write(genesis_rows(stage, source, FULL_RANGE))

        Shard(stage, store, Publisher(MemoryLog(VirtualClock(), "log"), VirtualClock()))
