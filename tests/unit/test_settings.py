from __future__ import annotations

import ast
import inspect
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from pipeline import settings as module
from pipeline.settings import (
    KclSettings,
    ObserveSettings,
    Settings,
    SettingsError,
    StateSettings,
    WorkerSettings,
    load_settings,
)


def test_without_anything_said_there_are_defaults() -> None:
    assert load_settings({"HOME": "/root"}) == Settings()


def test_the_environment_says_what_is_otherwise() -> None:
    settings = load_settings({"PAYMENTS_WORKER_TICK_MS": "100", "PAYMENTS_OBSERVE_LOG_LEVEL": "debug"})
    assert settings.worker.tick_ms == 100
    assert settings.observe.log_level == "debug"


def test_a_file_says_what_is_otherwise_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "payments.toml"
    file.write_text("[worker]\ntick_ms = 100\npoll_ms_max = 20\n[state]\nsnapshots_kept = 5\n")
    settings = load_settings({"PAYMENTS_CONFIG": str(file), "PAYMENTS_WORKER_TICK_MS": "50"})
    assert (settings.worker.tick_ms, settings.worker.poll_ms_max, settings.state.snapshots_kept) == (50, 20, 5)


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("PAYMENTS_WORKER_TICK_MS", "often", "PAYMENTS_WORKER_TICK_MS: Input should be a valid number"),
        ("PAYMENTS_WORKER_TICK_MS", "0", "PAYMENTS_WORKER_TICK_MS: Input should be greater than 0"),
        ("PAYMENTS_WORKER_TICK_MS", "inf", "PAYMENTS_WORKER_TICK_MS: Input should be a finite number"),
        ("PAYMENTS_WORKER_BATCH_USER_RECORDS_MAX", "0", "PAYMENTS_WORKER_BATCH_USER_RECORDS_MAX: Input should be"),
        ("PAYMENTS_OBSERVE_PORT", "70000", "PAYMENTS_OBSERVE_PORT: Input should be less than or equal to 65535"),
        ("PAYMENTS_OBSERVE_LOG_LEVEL", "loud", "PAYMENTS_OBSERVE_LOG_LEVEL: Input should be 'debug', 'info'"),
        (
            "PAYMENTS_WORKER_TIKC_MS",
            "5",
            "PAYMENTS_WORKER_TIKC_MS is no setting; did you mean PAYMENTS_WORKER_TICK_MS?",
        ),
        ("PAYMENTS_WORKER_POLL_MS_MIN", "9", "PAYMENTS_WORKER: poll_ms_max .5.0. is below poll_ms_min .9.0."),
    ],
)
def test_what_is_wrong_names_the_variable(variable: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load_settings({variable: value})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[wroker]\n", r"\[wroker\] is no section; did you mean worker\?"),
        ("[worker]\ntikc_ms = 5\n", r"tikc_ms in \[worker\] is no setting; did you mean tick_ms\?"),
        ("worker = 5\n", r"\[worker\] is no section"),
        ("[worker\n", "cannot be read"),
    ],
)
def test_what_is_wrong_in_a_file_names_the_place(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "payments.toml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=complaint):
        load_settings({"PAYMENTS_CONFIG": str(file)})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"PAYMENTS_CONFIG names .*nowhere.toml, which cannot be read"):
        load_settings({"PAYMENTS_CONFIG": str(tmp_path / "nowhere.toml")})


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().worker.tick_ms = 5.0  # type: ignore[misc]


def test_every_limit_has_its_unit_in_its_name() -> None:
    units = ("_ms", "_seconds", "_mib", "_max", "_min", "_kept", "_jobs", "_per_table")
    unitless = {"host", "port", "log_level", "snapshots", "application", "retrieval", "java", "jars"}
    names = {
        f.name for section in (WorkerSettings, StateSettings, KclSettings, ObserveSettings) for f in fields(section)
    }
    assert not [name for name in names - unitless if not name.endswith(units)]


def test_nothing_that_a_step_runs_knows_the_settings() -> None:
    """What differs between two processes must not reach a step."""
    home = Path(inspect.getfile(module)).parent
    steps = [*home.glob("kernel/*.py"), home / "shard.py", home / "publisher.py", home / "restore.py"]
    for path in steps:
        imported = {
            alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not [name for name in imported if name.startswith("pipeline.settings")], path
