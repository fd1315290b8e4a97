"""A run of the whole product with these edges: every submission ends once, and three books agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from agents.edge.participant_queries import ParticipantQueries
from agents.edge.projector_queries import Net
from agents.edge.workload.population import participants
from tests.unit.edge.payment_world import PaymentWorld

pytestmark = pytest.mark.slow

SUBMISSIONS = 3_000
SETTLES_THROUGH = {p.listing.bic: p.listing.settles_through for p in participants()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> PaymentWorld:
    world = PaymentWorld(tmp_path_factory.mktemp("run"), seed=1, submissions=SUBMISSIONS)
    world.run()
    return world


def test_every_submission_has_ended_in_one_way(run: PaymentWorld) -> None:
    assert run.counts().submitted == SUBMISSIONS
    assert run.counts().in_flight == 0
    assert run.queries().contradictions() == []


def test_at_least_85_of_100_settle_and_nothing_is_missing_from_a_short_run(run: PaymentWorld) -> None:
    counts = run.counts()

    assert counts.settled >= 0.85 * SUBMISSIONS
    assert all(counts)


def test_payments_are_refused_for_every_reason_that_there_is(run: PaymentWorld) -> None:
    reasons = {(status, reason) for status, reason, _ in run.queries().reasons()}

    assert {("rejected", "9912"), ("rejected", "AM23")} <= reasons, "a cap binds"
    assert {("rejected", "9910"), ("rejected", "AB08")} <= reasons, "a participant is off line"
    assert ("rejected", "1114") in reasons, "nobody knows the creditor's bank"
    assert {("rejected", "AC04"), ("rejected", "1160")} <= reasons, "the receiving participant refuses"
    assert {("expired", "AB06"), ("expired", "9911")} <= reasons, "nobody answers in time"
    assert ("rejected", "1161") in reasons, "fraud is suspected"


def test_the_nets_of_the_cycles_are_those_of_the_settled_payments(run: PaymentWorld) -> None:
    assert run.queries().nets() == run.queries().expected_nets()


def test_the_participants_know_of_the_same_money(run: PaymentWorld) -> None:
    nets: dict[str, int] = {}
    for net in run.queries().nets():
        nets[net.account] = nets.get(net.account, 0) + net.net_minor
    told = ParticipantQueries(run.folder)

    assert told.nets(SETTLES_THROUGH) == {account: net for account, net in sorted(nets.items()) if net}
    assert (told.contradicted(), told.sent_again()) == (0, 0)
    assert told.reversals() > 0


def test_all_cycles_were_settled_that_were_netted(run: PaymentWorld) -> None:
    assert run.bank.settled == max(net.cycle for net in run.queries().nets()) or run.bank.settled > 10


def without_zeros(nets: Sequence[Net]) -> list[Net]:
    """Return the nets that are any: of payments alone one cannot say whether an account was told that it has none."""
    return [net for net in nets if net.net_minor]


@pytest.mark.parametrize("seed", [2, 3])
def test_a_run_in_which_edges_die_again_and_again_loses_nothing(tmp_path: Path, seed: int) -> None:
    world = PaymentWorld(tmp_path, seed=seed, submissions=400)
    chance = Random(seed)
    for _ in range(60):
        for _ in range(chance.randrange(4)):
            world.turn()
        world.kill_one(chance.randrange(5))

    world.run()

    assert (world.counts().submitted, world.counts().in_flight) == (400, 0)
    assert without_zeros(world.queries().nets()) == without_zeros(world.queries().expected_nets())
    assert ParticipantQueries(tmp_path).sent_again() == 0
