"""The bytes of the engine's own events: they stand in logs, so they are for ever."""

from __future__ import annotations

import pytest

from pipeline.kernel import system_events
from pipeline.kernel.system_events import BehaviourActivated, CycleClosed, Parked, SourceEnded, Tick

_FIELDS_OF_PARKED = (
    "a6726561736f6e a7746f6f206f6c64"  # reason
    "a6736f75726365 b66c6f672d312f7061796d656e74732f73686172642d30"  # source
    "a8706f736974696f6e a431372e33"  # position
    "a67265636f7264 c4020102"  # record
    "a6646967657374 c420"  # digest
)
GOLDEN: dict[object, tuple[int, str]] = {
    Tick(): (1, "80"),
    SourceEnded(): (2, "80"),
    Parked("too old", "log-1/payments/shard-0", "17.3", b"\x01\x02", bytes(32)): (
        3,
        "85" + _FIELDS_OF_PARKED + "00" * 32,
    ),
    BehaviourActivated(2): (4, "81 a776657273696f6e 02"),
    CycleClosed(300, bytes(16), b"\xff" * 16): (
        5,
        f"83 a56379636c65 cd012c a56669727374 c410 {'00' * 16} a46c617374 c410 {'ff' * 16}",
    ),
}


@pytest.mark.parametrize("event", GOLDEN, ids=lambda event: type(event).__name__)
def test_a_system_event_has_its_golden_bytes(event: object) -> None:
    kind, body = GOLDEN[event]

    assert system_events.encode(event) == (kind, 1, bytes.fromhex(body))
    assert system_events.decode(kind, 1, bytes.fromhex(body)) == event


def test_every_system_event_has_golden_bytes() -> None:
    assert {type(event) for event in GOLDEN} == set(system_events.kind_of_type)


def test_system_events_have_the_kinds_below_256() -> None:
    assert max(system_events.type_of_kind) < system_events.FIRST_APPLICATION_KIND == 256
