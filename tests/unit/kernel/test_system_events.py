"""The engine's own events: what is none of them is poison, whatever its bytes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Poison
from pipeline.kernel import system_events
from pipeline.kernel.system_events import BehaviourActivated, CycleClosed, Parked, SourceEnded, Tick
from tests.unit.kernel.strategies import hash_bytes, ranges

texts = st.text(st.characters(exclude_categories=["Cs"]))
events = st.one_of(
    st.just(Tick()),
    st.just(SourceEnded()),
    st.builds(Parked, texts, texts, texts, st.binary(), st.binary()),
    st.builds(BehaviourActivated, st.integers(0, (1 << 63) - 1)),
    st.builds(
        lambda cycle, part: CycleClosed(cycle, part.first_bytes, part.last_bytes),
        st.integers(0, system_events.CYCLE_END - 1),
        ranges(),
    ),
)
kinds = st.sampled_from(sorted(system_events.type_of_kind))
values = st.one_of(st.integers(-(1 << 63), (1 << 64) - 1), st.binary(), hash_bytes, texts, st.floats(), st.none())
fields = st.sampled_from(["cycle", "first", "last", "version", "reason", "source", "position", "record", "digest", "x"])


@given(events)
def test_any_system_event_comes_back_from_its_bytes(event: object) -> None:
    assert system_events.decode(*system_events.encode(event)) == event


@given(kinds, st.binary())
def test_any_bytes_are_a_system_event_or_poison(kind: int, body: bytes) -> None:
    _decode_or_poison(kind, body)


@given(kinds, st.dictionaries(fields, values))
def test_any_fields_are_a_system_event_or_poison(kind: int, content: dict[str, object]) -> None:
    _decode_or_poison(kind, msgspec.msgpack.encode(content))


@given(st.integers(0, 255), st.integers(0, 9))
def test_an_unknown_kind_or_version_is_poison(kind: int, version: int) -> None:
    if kind not in system_events.type_of_kind or version != 1:
        with pytest.raises(Poison, match=f"kind {kind}, version {version}"):
            system_events.decode(kind, version, b"\x80")


@pytest.mark.parametrize(
    "marker",
    [
        {"cycle": 1, "first": bytes(15), "last": bytes(16)},
        {"cycle": 1, "first": bytes(16), "last": bytes(17)},
        {"cycle": 1, "first": b"\x01" + bytes(15), "last": bytes(16)},
        {"cycle": -1, "first": bytes(16), "last": bytes(16)},
        {"cycle": 1 << 63, "first": bytes(16), "last": bytes(16)},
    ],
)
def test_a_marker_without_a_cycle_or_a_range_is_poison(marker: dict[str, object]) -> None:
    with pytest.raises(Poison):
        system_events.decode(5, 1, msgspec.msgpack.encode(marker))


def test_a_behaviour_has_no_negative_version() -> None:
    with pytest.raises(Poison):
        system_events.decode(4, 1, msgspec.msgpack.encode({"version": -1}))


def test_a_body_that_is_nested_too_deeply_is_poison() -> None:
    with pytest.raises(Poison):
        system_events.decode(4, 1, b"\x82\xa7version\x01\xa1x" + b"\x91" * 100_000 + b"\xc0")


def test_a_reason_is_in_words_of_our_own() -> None:
    with pytest.raises(Poison) as poison:
        system_events.decode(4, 1, b"\xc1")

    assert poison.value.reason == "system event of kind 4, version 1: its body is not one"


def _decode_or_poison(kind: int, body: bytes) -> None:
    try:
        event = system_events.decode(kind, 1, body)
    except Poison:
        return
    assert type(event) is system_events.type_of_kind[kind]
