"""The score is a sum that anybody can check, and its reasons are its largest parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.fraud.features import Features
from agents.fraud.scorecard import BLOCK, CARD, REASONS_MAX, REVIEW, SCORE_MAX, Line, reasons, score

NOTHING = Features(0, 0, 0, 0, 0, 0, 0, 0)
any_features = st.builds(Features, *(st.integers(0, 10_000) for _ in Features._fields))


def test_an_order_with_nothing_to_it_scores_nothing() -> None:
    assert score(NOTHING) == 0
    assert reasons(NOTHING) == ()


@pytest.mark.parametrize("line", CARD, ids=lambda line: line.reason)
def test_a_line_gives_its_points_from_each_step_on(line: Line) -> None:
    feature, reason, steps = line
    before = 0
    for least, points in steps:
        assert score(NOTHING._replace(**{feature: least})) == points
        assert reasons(NOTHING._replace(**{feature: least})) == (reason,)
        assert score(NOTHING._replace(**{feature: least - 1})) == before
        before = points


def test_points_add_up_and_the_reasons_are_the_largest_three() -> None:
    features = NOTHING._replace(amount_percent_of_usual=1_000, new_payee=1, own_step_as_payee=1, idle_days=60)

    assert score(features) == 2_500 + 1_500 + 500 + 1_000
    assert reasons(features) == ("amount-unusual", "payee-new", "account-was-dormant")


def test_no_line_alone_refuses_an_order() -> None:
    assert all(line.steps[-1][1] < BLOCK for line in CARD)


def test_a_busy_account_alone_is_not_reviewed() -> None:
    assert score(NOTHING._replace(orders_percent_of_usual=10**9)) < REVIEW
    assert score(NOTHING._replace(new_payees_percent_of_usual=10**9)) < REVIEW


@pytest.mark.parametrize("line", CARD, ids=lambda line: line.reason)
def test_steps_rise(line: Line) -> None:
    _, _, steps = line
    assert list(steps) == sorted(steps)
    assert [points for _, points in steps] == sorted({points for _, points in steps})


@given(any_features)
def test_a_score_is_bounded_and_has_three_reasons_at_most(features: Features) -> None:
    codes = reasons(features)

    assert 0 <= score(features) <= SCORE_MAX
    assert len(codes) == len(set(codes)) <= REASONS_MAX
    assert bool(codes) == (score(features) > 0)


@given(any_features, st.sampled_from(Features._fields), st.integers(0, 10_000))
def test_more_of_anything_never_lowers_the_score(features: Features, name: str, more: int) -> None:
    raised = features._replace(**{name: getattr(features, name) + more})

    assert score(raised) >= score(features)
