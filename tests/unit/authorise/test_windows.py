"""Window totals are exact: they equal those of a plain list of events, whatever the times are."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.fraud.windows import (
    BUCKET_US,
    COUNTED_MINOR_MAX,
    DAY_US,
    ORDERS,
    PAYMENTS_IN,
    PAYMENTS_OUT,
    SUM_IN,
    SUM_OUT,
    WINDOWS_BYTES_MAX,
    Windows,
)
from tests.stage_under_test import START_US

HOUR_US = 3_600_000_000
COUNTERS = 7
Totals = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@dataclass
class ListOfEvents:
    """The same windows, the slow way: remember everything, add it up when asked."""

    now_us: int = 0
    events: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, at_us: int, counter: int, value: int) -> None:
        self.now_us = max(self.now_us, at_us)  # a late event is counted now
        self.events.append((self.now_us, counter, value))

    def totals(self, now_us: int) -> Totals:
        self.now_us = max(self.now_us, now_us)
        return (
            self._since(self.now_us // BUCKET_US * BUCKET_US - 11 * BUCKET_US),
            self._since(self.now_us // HOUR_US * HOUR_US - 23 * HOUR_US),
            self._since(self.now_us // DAY_US * DAY_US - 29 * DAY_US),
        )

    def _since(self, first_us: int) -> tuple[int, ...]:
        return tuple(
            sum(value for at_us, counter, value in self.events if counter == number and at_us >= first_us)
            for number in range(COUNTERS)
        )


def totals_of(windows: Windows) -> Totals:
    counters = windows.counters
    return (
        tuple(counters[number] - windows.hour[number] for number in range(COUNTERS)),
        tuple(counters[number] - windows.day[number] for number in range(COUNTERS)),
        tuple(counters[number] - windows.month[number] for number in range(COUNTERS)),
    )


# Steps in time that land on, just before and just behind every boundary, late ones too.
steps = st.one_of(
    st.integers(-2 * DAY_US, 40 * DAY_US),
    st.integers(0, 2 * BUCKET_US),
    st.sampled_from([0, 1, -1, BUCKET_US, BUCKET_US - 1, HOUR_US, HOUR_US - 1, HOUR_US + 1, DAY_US, 29 * DAY_US]),
)
events = st.tuples(
    steps, st.integers(0, COUNTERS - 1), st.integers(1, COUNTED_MINOR_MAX), st.sampled_from(["go on", "restart"])
)


@settings(max_examples=300)
@given(st.lists(events, max_size=60))
def test_totals_equal_those_of_a_list_of_events(history: list[tuple[int, int, int, str]]) -> None:
    windows, slow = Windows(), ListOfEvents()
    at_us = START_US
    for step_us, counter, value, then in history:
        at_us = max(at_us + step_us, 0)
        amount = value if counter >= SUM_OUT else 1
        windows.advance(at_us)
        windows.counters[counter] += amount
        slow.add(at_us, counter, amount)

        assert totals_of(windows) == slow.totals(at_us)
        if then == "restart":
            windows = Windows.decode(windows.encode())


def test_a_late_event_is_counted_in_the_current_bucket() -> None:
    windows = Windows()
    windows.advance(START_US + HOUR_US)

    windows.advance(START_US)
    windows.counters[ORDERS] += 1

    windows.advance(START_US + HOUR_US + 11 * BUCKET_US)
    assert windows.counters[ORDERS] - windows.hour[ORDERS] == 1


def test_an_account_busy_in_every_bucket_keeps_no_more_than_the_rings_have() -> None:
    windows = Windows()
    largest = 0
    for bucket in range(40 * 24 * 12):
        windows.advance(START_US + bucket * BUCKET_US)
        windows.counters[ORDERS] += 1
        largest = max(largest, len(windows.encode()))

    assert largest <= WINDOWS_BYTES_MAX
    assert totals_of(windows)[2][ORDERS] > 29 * 24 * 12


def test_counters_never_outgrow_their_fields() -> None:
    windows, slow = Windows(), ListOfEvents()
    for day in range(100):
        at_us = START_US + day * DAY_US
        windows.advance(at_us)
        for counter, value in ((ORDERS, 2**26), (PAYMENTS_OUT, 2**25), (PAYMENTS_IN, 3), (SUM_OUT, 2**58), (SUM_IN, 5)):
            windows.counters[counter] += value
            slow.add(at_us, counter, value)

        assert totals_of(windows)[1:] == slow.totals(at_us)[1:]
        windows = Windows.decode(windows.encode())


def test_an_account_of_modest_means_keeps_narrow_marks_for_ever() -> None:
    windows, slow = Windows(), ListOfEvents()
    for day in range(3 * 365):
        at_us = START_US + day * DAY_US
        windows.advance(at_us)
        for counter, value in ((ORDERS, 200), (SUM_OUT, 10**7)):
            windows.counters[counter] += value
            slow.add(at_us, counter, value)

    assert len(windows.encode()) < WINDOWS_BYTES_MAX // 2
    assert totals_of(windows) == slow.totals(slow.now_us)


def test_encoding_says_what_the_marks_say() -> None:
    windows = Windows()
    for step_us in (0, BUCKET_US, HOUR_US, DAY_US, 3 * DAY_US):
        windows.advance(START_US + step_us)
        windows.counters[ORDERS] += 1

    again = Windows.decode(windows.encode())
    again.advance(START_US)

    assert again.encode() == windows.encode()
    assert totals_of(again) == totals_of(windows)
