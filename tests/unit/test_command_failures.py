"""What cannot be done is one line and exit code 3; what nobody can mean is exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.cli import app
from agents.edge import generator
from agents.edge.projector_store import FILE as PROJECTOR_FILE

USAGE, COULD_NOT_BE_DONE = 2, 3
TINY_DEMO = ("demo", "--seconds", "1", "--tps", "1")


def refused(*arguments: str, code: int) -> str:
    """Run a command that must end with ``code``; return what it said."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("command", [("demo",), ("bench",)])
def test_a_file_is_no_folder_to_keep_things_in(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert f"{tmp_path / 'file'}" in refused(*command, "--data", str(tmp_path / "file"), code=COULD_NOT_BE_DONE)


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    stream = tmp_path / "log" / "streams" / "payments"
    stream.mkdir(parents=True)
    (stream / "stream.json").write_text("garbage")

    assert str(stream) in refused(*TINY_DEMO, "--data", str(tmp_path), code=COULD_NOT_BE_DONE)


@pytest.mark.parametrize("file", ["observer/observer.sqlite", f"projector/{PROJECTOR_FILE}"])
def test_a_damaged_database_is_named(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 100)
    command = ("status", "p", "--tables", f"sqlite:{path.parent}") if "projector" in file else TINY_DEMO

    said = refused(*command, *(("--data", str(tmp_path)) if command is TINY_DEMO else ()), code=COULD_NOT_BE_DONE)

    assert f"{path} cannot be" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--seconds", "inf"),
        ("demo", "--tps", "nan"),
        ("demo", "--tps", "inf"),
        ("demo", "--seconds", "0.1", "--tps", "0.1"),
        ("generate", "--count", "1", "--first", "99999999999999999999"),
        ("generate", "--count", "1", "--start-us", "-1"),
    ],
)
def test_a_number_that_nobody_can_mean_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    refused(*arguments, code=USAGE)


def test_a_worker_is_told_every_form_of_a_log() -> None:
    assert "local:DIR | kinesis:REGION | kcl[:REGION]" in " ".join(
        refused("worker", "--log", "foo", code=USAGE).replace("│", "").split()
    )


@pytest.mark.parametrize("option", ["--tps", "--cycle-seconds", "--seconds"])
@pytest.mark.parametrize("number", ["0", "-5", "nan", "inf", "many"])
def test_an_edge_refuses_a_number_that_is_not_above_zero(
    option: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        generator.main(["--log", "local:none", "--data", "none", "--count", "1", f"{option}={number}"])

    assert ended.value.code == USAGE
    assert f"argument {option}: '{number}' is not a number above zero" in capsys.readouterr().err


def test_output_that_finds_no_room_is_told() -> None:
    with Path("/dev/full").open("wb") as full:
        done = generate(stdout=full)

    assert (done.returncode, done.stderr) == (
        COULD_NOT_BE_DONE,
        b"payments generate: [Errno 28] No space left on device\n",
    )


def test_a_reader_that_went_away_needs_no_words() -> None:
    nobody = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    nobody.wait()
    assert nobody.stdin is not None
    with nobody.stdin as pipe:
        done = generate(stdout=pipe)

    assert (done.returncode, done.stderr) == (COULD_NOT_BE_DONE, b"")


def generate(stdout: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "agents.cli", "generate", "--count", "3", "--accounts", "1000"]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False)  # type: ignore[call-overload, no-any-return]


def test_a_report_that_cannot_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    said = refused(*TINY_DEMO, "--report", str(tmp_path / "file"), code=COULD_NOT_BE_DONE)

    assert said == f"payments demo: [Errno 17] File exists: '{tmp_path / 'file'}'\n"
