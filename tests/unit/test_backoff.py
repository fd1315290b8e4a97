"""Waiting before the next try: longer each time, up to a limit, and anywhere below it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stream_logs.backoff import Backoff


def test_the_longest_possible_wait_doubles_up_to_the_limit() -> None:
    backoff = Backoff(first_seconds=0.1, longest_seconds=1.0, draw=lambda: 1.0)

    assert [backoff.failed() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_success_begins_anew() -> None:
    backoff = Backoff(first_seconds=0.1, longest_seconds=1.0, draw=lambda: 1.0)
    backoff.failed()
    backoff.failed()

    backoff.succeeded()

    assert (backoff.failures, backoff.failed()) == (0, 0.1)


@given(st.floats(0, 1), st.integers(0, 100))
def test_any_part_of_it_may_be_waited_for(drawn: float, failures: int) -> None:
    backoff = Backoff(first_seconds=0.1, longest_seconds=1.0, draw=lambda: drawn)
    for _ in range(failures):
        backoff.failed()

    assert 0 <= backoff.failed() <= drawn
