"""Our verdict on a message is the schema's, whatever was done to the message; only a code set makes it stricter."""

from __future__ import annotations

from random import Random

import pytest

from schemas.errors import Fault
from schemas.iso20022.errors import UnreadableDocumentError
from schemas.iso20022.message_name import SPOKEN, MessageName
from schemas.iso20022.messages import read_messages
from schemas.iso20022.writing import write_message
from tests.unit.iso20022.any_message import AnyMessage
from tests.unit.iso20022.iso_schemas import NAMES, accepts, needs_schemas
from tests.unit.iso20022.mutations import damaged, mutated

MUTATIONS = 250
"""Of each message; `python -m tests.unit.iso20022.fuzz` does as many as one likes."""


def faults_of_structure(document: bytes) -> list[Fault]:
    """Return what is wrong with a document but for codes."""
    try:
        messages = read_messages(document)
    except UnreadableDocumentError as failure:
        return [Fault("", "document", str(failure))]
    return [fault for message in messages for fault in message.faults if not fault.rule.startswith("code-set.")]


@needs_schemas
@pytest.mark.parametrize("name", NAMES, ids=str)
def test_any_message_that_the_tables_allow_is_valid(name: MessageName) -> None:
    for seed in range(40):
        document = write_message(name, AnyMessage(name, seed).content())

        assert accepts(name, document), f"seed {seed}"
        assert faults_of_structure(document) == [], f"seed {seed}"


@needs_schemas
@pytest.mark.parametrize("name", NAMES, ids=str)
@pytest.mark.parametrize("change", [mutated, damaged])
def test_a_changed_message_is_valid_if_the_schema_says_so(name: MessageName, change: type) -> None:
    verdicts = set()
    for seed in range(MUTATIONS):
        random = Random(seed)
        document = change(
            write_message(name, AnyMessage(name, seed // 3, random.choice((0.05, 0.3))).content()), random
        )
        verdict = accepts(name, document)
        faults = faults_of_structure(document)

        assert (not faults) == verdict, f"seed {seed}: {faults[:3]}"
        verdicts.add(verdict)
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", SPOKEN, ids=str)
def test_nothing_of_a_message_is_lost_between_reading_and_writing(name: MessageName) -> None:
    for seed in range(40):
        content = AnyMessage(name, seed, fullness=0.5).content()
        document = write_message(name, content)
        (message,) = read_messages(document)

        assert message.faults == (), f"seed {seed}"
        assert read_messages(write_message(name, message.content)) == (message,), f"seed {seed}"
        assert write_message(name, message.content) == document, f"seed {seed}"
