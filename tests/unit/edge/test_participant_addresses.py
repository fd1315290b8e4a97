"""Where participants are is a file, and what is wrong with it is said at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.edge.errors import EdgeError
from agents.edge.participant_addresses import read_addresses, write_addresses
from tests.builders import BANK_A, BANK_B

HERE, THERE = "http://127.0.0.1:1/messages", "https://bank.example/messages"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "participants.toml"

    write_addresses(file, {HERE: [BANK_A], THERE: [BANK_B]})

    assert read_addresses(file) == {BANK_A: HERE, BANK_B: THERE}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("links = 1", "links"),
        ("[[links", "Expected"),
        (f'[[links]]\naddress = "ftp://x/"\nparticipants = ["{BANK_A}"]', "links.0.address"),
        (f'[[links]]\naddress = "{HERE}"\nparticipants = ["bank"]', "'bank' is no BIC"),
        (f'[[links]]\naddress = "{HERE}"\nparticipant = ["{BANK_A}"]', "links.0.participant"),
        (
            (
                f'[[links]]\naddress = "{HERE}"\nparticipants = ["{BANK_A}"]\n'
                f'[[links]]\naddress = "{THERE}"\nparticipants = ["{BANK_A}"]'
            ),
            f"{BANK_A} has two addresses",
        ),
    ],
)
def test_what_is_wrong_with_it_is_named(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "participants.toml"
    file.write_text(text)

    with pytest.raises(EdgeError, match=wrong):
        read_addresses(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"participants\.toml says no addresses"):
        read_addresses(tmp_path / "participants.toml")
