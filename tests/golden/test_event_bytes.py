"""The bytes of every kind of event.  A change of a schema shows here, and in review as a change of ``events.json``.

python -m tests.golden.update        adds the bytes of a new kind or version
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from schemas import codec, edge
from tests.golden.examples import EXAMPLE_OF_TYPE
from tests.golden.update import GoldenEvent, entries_of_this_build, golden_events

GOLDEN = golden_events()


def name_of(entry: GoldenEvent) -> str:
    return f"{entry['event']}-{entry['kind']}-{entry['version']}"


each_golden_event = pytest.mark.parametrize("entry", GOLDEN, ids=name_of)


def test_every_kind_has_an_example() -> None:
    assert EXAMPLE_OF_TYPE.keys() == set(codec.KINDS.values())


def test_every_kind_of_this_build_has_golden_bytes() -> None:
    known = {(entry["kind"], entry["version"]) for entry in GOLDEN}

    assert {(kind, codec.VERSION) for kind in codec.KINDS} <= known


def test_an_event_has_one_kind_and_a_kind_one_event() -> None:
    assert max(Counter(codec.KINDS.values()).values()) == 1
    assert sum(map(len, codec.KINDS_OF_STREAM.values())) == len(codec.KINDS)


def test_kinds_come_in_blocks_of_sixteen_one_for_each_stream() -> None:
    blocks = {kind >> 4: stream for stream, kinds in codec.KINDS_OF_STREAM.items() for kind in kinds}

    assert all(blocks[kind >> 4] == stream for stream, kinds in codec.KINDS_OF_STREAM.items() for kind in kinds)
    assert min(codec.KINDS) >= 256


@each_golden_event
def test_a_kind_is_never_given_up_nor_given_to_another_event(entry: GoldenEvent) -> None:
    assert codec.KINDS[entry["kind"]].__name__ == entry["event"]
    assert 1 <= entry["version"] <= codec.VERSION


@each_golden_event
def test_the_golden_bytes_are_decoded_for_ever(entry: GoldenEvent) -> None:
    decoded = codec.decode(entry["kind"], entry["version"], bytes.fromhex(entry["body"]))

    assert decoded == EXAMPLE_OF_TYPE[codec.KINDS[entry["kind"]]]


@pytest.mark.parametrize("entry", entries_of_this_build(), ids=name_of)
def test_an_event_is_encoded_to_its_golden_bytes(entry: GoldenEvent) -> None:
    (golden,) = [g for g in GOLDEN if (g["kind"], g["version"]) == (entry["kind"], entry["version"])]

    assert entry == golden


@each_golden_event
def test_the_fields_shown_beside_the_bytes_are_those_of_the_event(entry: GoldenEvent) -> None:
    if entry["version"] == codec.VERSION:
        event: object = edge.read(json.dumps(entry["fields"]).encode(), codec.KINDS[entry["kind"]])
        assert codec.encode(event) == (entry["kind"], entry["version"], bytes.fromhex(entry["body"]))
