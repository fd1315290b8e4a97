"""JSON at the edge: strict, bounded, and refused in lines that name the field."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cli.generate import generate
from agents.edge.workload.sequence import Kind, Workload
from schemas import edge
from schemas.errors import Fault, InvalidEventError
from schemas.events import CreditTransfer, CutOffScheduled, CycleNetted, ParticipantListed, PaymentSubmitted
from tests.golden.examples import EXAMPLE_OF_TYPE, TRANSFER
from tests.unit.schemas.any_event import as_mapping

ORDER = PaymentSubmitted(TRANSFER)


def faults_of(document: Any, event_type: type = PaymentSubmitted) -> tuple[Fault, ...]:
    with pytest.raises(InvalidEventError) as refused:
        edge.read(document, event_type)
    return refused.value.faults


def reason_of(document: Any, event_type: type = PaymentSubmitted) -> str:
    with pytest.raises(InvalidEventError) as refused:
        edge.read(document, event_type)
    return str(refused.value)


@pytest.mark.parametrize("name", edge.NAMED_EVENTS)
def test_an_event_is_read_by_the_name_that_it_was_written_with(name: str) -> None:
    event_type = edge.NAMED_EVENTS[name]
    event = TRANSFER if event_type is CreditTransfer else EXAMPLE_OF_TYPE[event_type]

    written = edge.write_named(event)

    assert json.loads(written) == {"type": name, **as_mapping(event)}
    assert edge.read_named(written) == event
    assert edge.read_named(json.loads(written)) == event


@pytest.mark.parametrize("named", [{}, {"type": None}, {"type": ["CycleSettled"]}, {"type": "CycleNetted"}])
def test_a_name_that_no_edge_may_send_is_refused(named: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError, match=r"^type: must be one of CreditTransfer, PaymentSubmitted, "):
        edge.read_named(named)


def test_a_reference_may_be_left_out() -> None:
    mapping = as_mapping(TRANSFER)
    del mapping["reference"]

    assert edge.read(mapping, CreditTransfer).reference == ""


def test_each_fault_has_a_line_that_names_the_field() -> None:
    mapping = as_mapping(ORDER)
    mapping["transfer"] |= {"uetr": 5, "amount": {"minor": True, "currency": "EUR", "precision": 2}}
    del mapping["transfer"]["debtor"]["agent"]

    assert faults_of(mapping) == (
        Fault("transfer.uetr", "type", "must be text"),
        Fault("transfer.debtor.agent", "missing", "is missing"),
        Fault("transfer.amount.minor", "type", "must be an integer"),
        Fault("transfer.amount.precision", "unknown", "is not known here"),
    )
    assert reason_of(mapping).splitlines() == [str(fault) for fault in faults_of(mapping)]


def test_a_rule_among_fields_is_told_once_the_fields_are_right() -> None:
    mapping = as_mapping(ORDER)
    mapping["transfer"]["uetr"] = "none"

    assert faults_of(mapping) == (Fault("transfer", "rule", "not a UETR: 'none'"),)


def test_places_in_lists_and_maps_are_named() -> None:
    listed = as_mapping(EXAMPLE_OF_TYPE[ParticipantListed]) | {"schemes": ["fps", 5], "caps": {"EUR": "5"}}

    assert [fault.path for fault in faults_of(listed, ParticipantListed)] == ["schemes.1", "caps.EUR"]


def test_bytes_are_hexadecimal_digits() -> None:
    netted = as_mapping(EXAMPLE_OF_TYPE[CycleNetted])

    assert netted["last"] == "f" * 32
    assert reason_of(netted | {"last": "no"}, CycleNetted) == "last: must be hexadecimal digits"


def test_names_that_a_client_chose_are_shown_as_values_are() -> None:
    reason = reason_of(
        {"a\nforged line": 1, "DE89370400440532013000": 1, "x" * 99: 1, "purpose_code": 1, "transfer": {}}
    )

    assert "'a\\nforg'...: is not known here" in reason.splitlines()
    assert "'DE8937'...: is not known here" in reason.splitlines()
    assert "'xxxxxx'...: is not known here" in reason.splitlines()
    assert "purpose_code: is not known here" in reason.splitlines()


def test_hundreds_of_faults_are_told_in_a_few_lines() -> None:
    lines = reason_of({f"field_{number}": number for number in range(900)}).splitlines()

    assert len(lines) == 21
    assert lines[-1] == "and 881 more"


CUT_OFF = b'{"cycle":1,"at_us":1}'


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not JSON: line 1, column 1"),
        (b"payment", "not JSON: line 1, column 1"),
        (b'{"cycle":1,\n"at_us":}', "not JSON: line 2, column 9"),
        (CUT_OFF + CUT_OFF, "not JSON: line 1, column 22"),
        (b"\xef\xbb\xbf" + CUT_OFF, "not JSON: line 1, column 1"),
        (CUT_OFF.decode().encode("utf-16"), "not UTF-8"),
        (b'{"cycle":"\xff\xfe"}', "not UTF-8"),
        (b'{"cycle":1,"at_us":1,"cycle":1}', "cycle: is there twice"),
        (b"[1,1]", "must be an object"),
        (b"null", "must be an object"),
        (b'{"cycle":NaN,"at_us":1}', "NaN is no JSON"),
        (b'{"cycle":-Infinity,"at_us":1}', "-Infinity is no JSON"),
        (b'{"cycle":1e0,"at_us":1}', "cycle: must be an integer"),
        (b'{"cycle":1.0,"at_us":1}', "cycle: must be an integer"),
        (b'{"cycle":' + b"9" * 30 + b',"at_us":1}', f"cycle is from 0 to {2**63 - 1}, not a number of 100 bits"),
        (b'{"cycle":' + b"9" * 5_000 + b',"at_us":1}', "a number has too many digits"),
        (b" " * edge.DOCUMENT_BYTES_MAX + CUT_OFF, "65557 bytes are more than 65536"),
        (b'{"cycle":1,"at_us":"' + b"9" * 1_000_000 + b'"}', "1000022 bytes are more than 65536"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_document_is_refused(document: bytes, reason: str) -> None:
    assert reason_of(document, CutOffScheduled) == reason


@pytest.mark.parametrize("levels", [150, 1_000, 3_000])
def test_a_nest_of_any_depth_is_refused(levels: int) -> None:
    """Where the stack ends, and so which fault is told, is the interpreter's to say."""
    opened = b'{"at_us":1,"cycle":' * levels
    for document in (opened, opened + b"1" + b"}" * levels, b"[" * 20 * levels):
        assert len(reason_of(document, CutOffScheduled).splitlines()) == 1


def endless() -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    mapping["cycle"] = mapping
    return mapping


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, b"1", {1}, object(), endless(), nested(100_000), 10**5_000],
    ids=["not a number", "infinity", "bytes", "set", "object", "itself", "nested", "huge"],
)
def test_a_mapping_holds_only_what_json_can_say(value: object) -> None:
    assert reason_of({"cycle": value, "at_us": 1}, CutOffScheduled) == "what JSON cannot say, or itself, is inside"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_an_event_or_refused(document: bytes) -> None:
    assert_an_event_or_refused(document)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=12,
    )
)
def test_any_value_is_an_event_or_refused(value: object) -> None:
    assert_an_event_or_refused({"cycle": value, "at_us": 1})


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_document_that_was_changed_is_an_event_or_refused(data: st.DataObject) -> None:
    document = edge.write(CutOffScheduled(17, 1_764_000_000_000_000))
    cut = data.draw(st.integers(0, len(document)))
    end = data.draw(st.integers(cut, len(document)))
    assert_an_event_or_refused(document[:cut] + data.draw(st.binary(max_size=4)) + document[end:])


def assert_an_event_or_refused(document: Any) -> None:
    faults: tuple[Fault, ...] = ()
    try:
        event: object = edge.read(document, CutOffScheduled)
    except InvalidEventError as refused:
        event, faults = None, refused.faults
    assert isinstance(event, CutOffScheduled) != bool(faults)
    assert all(str(fault).isprintable() for fault in faults)


def test_what_payments_generate_prints_parses_back_to_the_same_events(capfdbinary: Any) -> None:
    count, start_us, workload = 400, 1_764_000_000_000_000, Workload(7)

    generate(count, seed=7, tps=1_000, start_us=start_us)

    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert len(lines) == count
    for line in lines:
        submission = workload.at(line["index"])
        if submission.kind is not Kind.BAD_DATA:
            accepted_us = start_us + submission.accepted_index * 1_000
            assert edge.read_named(line["event"]) == PaymentSubmitted(submission.order.accepted(accepted_us))
