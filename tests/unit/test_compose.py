"""docker-compose.yml describes what `make stack` runs, with commands that are ours."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from agents.cli import app
from agents.edge.participant_addresses import read_addresses
from agents.edge.workload.control import listings
from demo.run import Demo, Plan
from demo.site import EmbeddedSite
from demo.stack.prometheus import configuration
from pipeline.settings import load_settings
from pipeline.system_clock import SystemClock

REPOSITORY = Path(__file__).resolve().parents[2]
EMULATORS = {"kinesis", "dynamodb", "s3"}
ONLY_IN_CONTAINERS = {"prepare"}
"""`make stack` does that in its own process."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))
    return found


def members(tmp_path: Path) -> dict[str, tuple[str, ...]]:
    clock = SystemClock()
    demo = Demo(Plan(tmp_path, 1.0, 1.0, 1, 1), clock, lambda _: None, EmbeddedSite(tmp_path, clock))
    return {member.name: tuple(member.arguments) for member in demo.fleet.members}


def test_its_services_are_those_of_the_stack(compose: dict[str, Any], tmp_path: Path) -> None:
    services = set(compose["services"]) - ONLY_IN_CONTAINERS

    assert services == EMULATORS | set(members(tmp_path)) | {"prometheus"}


def test_each_process_is_the_program_that_the_stack_runs(compose: dict[str, Any], tmp_path: Path) -> None:
    for name, arguments in members(tmp_path).items():
        command = compose["services"][name]["command"]
        ours = command[2] if command[0] == "python" else "agents.cli"
        assert ours == arguments[0], name
        assert stages_in(command) == stages_in(arguments), name


def stages_in(words: Any) -> list[str]:
    return [stage for option, stage in pairwise(words) if option == "--stage"]


def test_every_command_is_one_that_we_understand(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        match service.get("command", []):
            case ["python", "-m", module, *options]:
                import_module(module).parser().parse_args(options)
            case ["payments", command, *options]:
                commands = typer.main.get_group(app).commands
                commands[command].make_context(command, list(options))
            case _:
                assert name in EMULATORS | {"prometheus"}


def test_every_setting_in_it_is_one(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        load_settings(service.get("environment", {}))


def test_every_emulator_is_where_the_processes_look_for_it(compose: dict[str, Any]) -> None:
    environment = compose["x-aws"]
    ports = {name: port_in(compose["services"][name]["command"]) for name in EMULATORS}

    assert environment["AWS_ENDPOINT_URL_KINESIS"] == f"http://kinesis:{ports['kinesis']}"
    assert environment["AWS_ENDPOINT_URL_DYNAMODB"] == f"http://dynamodb:{ports['dynamodb']}"
    assert environment["AWS_ENDPOINT_URL"] == f"http://s3:{ports['s3']}"


def port_in(command: list[str]) -> str:
    return command[-1].removeprefix("--port=")


def test_prometheus_is_told_what_the_stack_tells_it(compose: dict[str, Any]) -> None:
    (mounted,) = compose["services"]["prometheus"]["volumes"]
    file = REPOSITORY / mounted.partition(":")[0]

    assert file.read_text("utf-8") == configuration({"settle": "settle:9464", "authorise": "authorise:9464"})


def test_the_links_know_where_every_participant_is() -> None:
    addresses = read_addresses(REPOSITORY / "demo" / "stack" / "participants.toml")

    assert addresses == {each.bic: "http://participants:9010/messages" for each in listings()}
