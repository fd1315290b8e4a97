"""One definition, two libraries: msgspec inside and pydantic at the edge take the same events, and refuse the same."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, edge
from schemas.errors import InvalidEventError, UndecodableEventError
from tests.golden.examples import EXAMPLES
from tests.unit.schemas.any_event import (
    Path,
    any_event_of,
    as_map,
    as_mapping,
    at,
    every_field_of,
    with_value,
    without,
)

any_event = st.one_of([any_event_of(event_type) for event_type in codec.KINDS.values()])
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)

DEEP: list[Any] = []
for _ in range(100):
    DEEP = [DEEP]
STRANGE_VALUES: tuple[Any, ...] = (
    None,
    True,
    7,
    -1,
    7.0,
    1.5,
    math.nan,
    math.inf,
    "12",
    "",
    "x" * 70_000,
    [],
    ["x"],
    [7],
    {},
    {"x": 7},
    DEEP,
)


@settings(max_examples=300, deadline=None)
@given(any_event)
def test_an_event_comes_back_unchanged_from_its_bytes(event: object) -> None:
    assert codec.decode(*codec.encode(event)) == event


@settings(max_examples=300, deadline=None)
@given(any_event)
def test_an_event_comes_back_unchanged_from_its_json(event: object) -> None:
    written = edge.write(event)

    assert edge.read(written, type(event)) == event
    assert edge.read(json.loads(written), type(event)) == event


@settings(max_examples=200, deadline=None)
@given(any_event)
def test_what_the_edge_reads_has_the_bytes_that_the_event_has_inside(event: object) -> None:
    read: object = edge.read(edge.write(event), type(event))

    assert codec.encode(read) == codec.encode(event)


@each_example
def test_a_value_of_another_type_is_refused_by_both(example: object) -> None:
    for path in every_field_of(as_mapping(example)):
        for strange in STRANGE_VALUES:
            if is_another_type(at(as_map(example), path), strange):
                assert_refused_inside(example, with_value(as_map(example), path, strange))
            if is_another_type(at(as_mapping(example), path), strange):
                assert_refused_at_the_edge(example, with_value(as_mapping(example), path, strange))


@each_example
def test_an_integer_of_more_than_64_bits_is_refused_by_both(example: object) -> None:
    for path in every_field_of(as_mapping(example)):
        if is_an_integer(at(as_mapping(example), path)):
            for huge in (1 << 64, -(1 << 63) - 1, 10**4_000):
                assert_refused_at_the_edge(example, with_value(as_mapping(example), path, huge))
                with pytest.raises((OverflowError, ValueError)):
                    codec.encode(built(example, with_value(as_map(example), path, huge)))


@each_example
def test_a_field_that_is_missing_is_refused_by_both(example: object) -> None:
    for path in fields_of(example):
        assert_refused_inside(example, without(as_map(example), path), says="is missing")
        if path[-1] != "reference":  # empty unless it is said, in JSON
            assert_refused_at_the_edge(example, without(as_mapping(example), path), says="is missing")


@each_example
def test_a_field_that_is_not_known_is_refused_by_both(example: object) -> None:
    objects = [(), *(path for path in every_field_of(as_map(example)) if is_an_event(at(as_map(example), path), path))]
    for path in objects:
        new = (*path, "purpose")
        assert_refused_inside(example, with_value(as_map(example), new, "SALA"), says="unknown field 'purpos'...")
        assert_refused_at_the_edge(example, with_value(as_mapping(example), new, "SALA"), says="purpose: is not known")


def assert_refused_inside(example: object, mapping: dict[str, Any], says: str = "") -> None:
    kind, version, _ = codec.encode(example)
    with pytest.raises(UndecodableEventError) as refused:
        codec.decode(kind, version, msgspec.msgpack.encode(mapping))
    assert_one_clear_line(str(refused.value), says)


def assert_refused_at_the_edge(example: object, mapping: dict[str, Any], says: str = "") -> None:
    for document in (mapping, json.dumps(mapping).encode()):
        with pytest.raises(InvalidEventError) as refused:
            edge.read(document, type(example))
        (line,) = str(refused.value).splitlines()
        assert_one_clear_line(line, says)


def assert_one_clear_line(line: str, says: str) -> None:
    assert says in line
    assert line.isprintable()
    assert 10 < len(line) < 200


def is_another_type(valid: object, strange: object) -> bool:
    if isinstance(valid, bytes):
        return not isinstance(strange, bytes)
    if isinstance(valid, list | dict):  # an empty one is no fault of every list, nor is text in every list of texts
        return not isinstance(strange, type(valid))
    return type(strange) is not type(valid)


def is_an_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_an_event(value: object, path: Path) -> bool:
    return isinstance(value, dict) and path[-1] != "caps"


def fields_of(example: object) -> list[Path]:
    return [path for path in every_field_of(as_map(example)) if isinstance(path[-1], str) and "caps" not in path[:-1]]


def built(example: object, mapping: dict[str, Any]) -> object:
    """Return what the program itself would build of it: no library looks at the types then."""
    event: object = msgspec.convert(mapping, type(example))
    return event
