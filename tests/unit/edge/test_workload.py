"""What is submitted is a function of the seed and the index, and looks like life."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from agents.edge.producer import Identity
from agents.edge.workload import bad_data, control
from agents.edge.workload.draws import Draws
from agents.edge.workload.population import Lean, Population, participants
from agents.edge.workload.records import line_of, record_of
from agents.edge.workload.sequence import HUGE_AT, HUGE_EVERY, Kind, Submission, Workload
from pipeline.errors import Poison
from pipeline.kernel.envelope import decode
from pipeline.kernel.hashrange import hash_key
from pipeline.stream_logs.frame import RECORD_BYTES_MAX
from schemas import codec
from schemas.errors import UndecodableEventError
from schemas.events import PaymentSubmitted

PRODUCER = Identity(b"generator", 7)
ACCEPTED_US = 1_764_000_000_000_000
A_RUN = 3_000
DIGEST = "f5aa80c14cfaca6c185c8ea0fcfc97186791bdad4ddcae720b28958988f8cf81"
PRINT_DIGEST = """
import hashlib
from agents.edge.producer import Identity
from agents.edge.workload.records import line_of
from agents.edge.workload.sequence import Workload
workload = Workload(1)
lines = (line_of(workload.at(i), 10**15 + i, Identity(b"generator", 7)) for i in range(450, 550))
print(hashlib.sha256(b"".join(lines)).hexdigest())
"""


@pytest.fixture(scope="module")
def workload() -> Workload:
    return Workload(1)


@pytest.fixture(scope="module")
def a_run(workload: Workload) -> list[Submission]:
    return [workload.at(index) for index in range(A_RUN)]


def of_kind(submissions: list[Submission], kind: Kind) -> list[Submission]:
    return [submission for submission in submissions if submission.kind is kind]


def records(submissions: list[Submission]) -> Iterator[tuple[Submission, bytes]]:
    for submission in submissions:
        yield submission, record_of(submission, ACCEPTED_US, ACCEPTED_US, PRODUCER).record


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_the_same_seed_gives_the_same_bytes_whatever_python_hashes_strings_to(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}

    printed = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], env=environment, capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == DIGEST


def test_the_workload_goes_on_at_any_index_without_what_came_before(a_run: list[Submission]) -> None:
    resumed = Workload(1)

    assert [resumed.at(index) for index in range(2_500, A_RUN)] == a_run[2_500:]


def test_another_seed_gives_other_payments(a_run: list[Submission]) -> None:
    other = Workload(2)

    assert not {other.at(index).order.payment_id for index in range(200)} & {s.order.payment_id for s in a_run}


def test_every_order_is_an_event_that_the_schemas_take(a_run: list[Submission]) -> None:
    for submission, record in records(a_run):
        if submission.kind is not Kind.BAD_DATA:
            envelope = decode(record)
            event = codec.decode(envelope.kind, envelope.version, envelope.body)
            assert isinstance(event, PaymentSubmitted)
            assert envelope.first == hash_key(event.transfer.debtor.account)


def test_bad_data_is_never_an_order(a_run: list[Submission]) -> None:
    for submission, record in records(of_kind(a_run, Kind.BAD_DATA)):
        try:
            envelope = decode(record)
            event = codec.decode(envelope.kind, envelope.version, envelope.body)
        except (Poison, UndecodableEventError):
            continue
        assert submission.label == "out-of-place"
        assert not isinstance(event, PaymentSubmitted)


def test_a_long_run_has_every_kind_of_bad_data(workload: Workload) -> None:
    submissions = [workload.at(index) for index in range(20_000)]

    assert {s.label for s in of_kind(submissions, Kind.BAD_DATA)} == {*bad_data.SPOILS, bad_data.HUGE}


def test_a_megabyte_is_submitted_now_and_then_and_the_log_takes_it(workload: Workload) -> None:
    ((submission, record),) = records([workload.at(HUGE_EVERY + HUGE_AT)])

    assert submission.label == bad_data.HUGE
    assert bad_data.HUGE_STRING_BYTES < len(record) <= RECORD_BYTES_MAX


def test_clients_retry_one_payment_of_fifty(a_run: list[Submission]) -> None:
    assert 0.012 < len(of_kind(a_run, Kind.RETRY)) / A_RUN < 0.028


def test_a_retry_is_an_earlier_order_again_half_of_them_with_its_time(a_run: list[Submission]) -> None:
    by_id = {submission.order.payment_id: submission for submission in reversed(of_kind(a_run, Kind.ORDER))}
    retries = of_kind(a_run, Kind.RETRY)

    for retry in retries:
        first = by_id[retry.order.payment_id]
        assert retry.order == first.order
        assert first.index < retry.index
        assert retry.accepted_index in (first.index, retry.index)
    same_time = sum(retry.accepted_index != retry.index for retry in retries)
    assert 0.25 < same_time / len(retries) < 0.75


def test_a_conflict_has_the_identity_of_another_order_and_another_amount(a_run: list[Submission]) -> None:
    by_transaction = {s.order.transaction_id: s.order for s in reversed(of_kind(a_run, Kind.ORDER))}
    conflicts = of_kind(a_run, Kind.CONFLICT)

    assert conflicts
    for conflict in conflicts:
        first = by_transaction[conflict.order.transaction_id]
        assert conflict.order.debtor == first.debtor
        assert conflict.order.amount != first.amount
        assert conflict.order.payment_id != first.payment_id


def test_the_same_again_is_an_order_of_its_own(a_run: list[Submission]) -> None:
    orders = of_kind(a_run, Kind.ORDER)
    again = [submission for submission in orders if submission.label == "same-again"]

    assert again
    for submission in again:
        order = submission.order
        alike = [
            s.order
            for s in orders
            if (s.order.debtor, s.order.creditor, s.order.amount) == (order.debtor, order.creditor, order.amount)
        ]
        assert len(alike) > 1
        assert len({twin.transaction_id for twin in alike}) == len(alike)


def test_a_third_of_the_customers_give_no_identity_of_their_own(a_run: list[Submission]) -> None:
    not_provided = sum(submission.order.end_to_end_id == "NOTPROVIDED" for submission in a_run)

    assert 0.25 < not_provided / A_RUN < 0.45


def test_few_accounts_are_busy_and_none_is_all(a_run: list[Submission]) -> None:
    payers = Counter(submission.order.debtor.account for submission in a_run)

    assert len(payers) > A_RUN // 2
    assert max(payers.values()) < A_RUN // 100


def test_amounts_are_as_people_pay_them(a_run: list[Submission]) -> None:
    minors = sorted(submission.order.amount.minor for submission in of_kind(a_run, Kind.ORDER))

    assert 2_000 < minors[len(minors) // 2] < 10_000
    assert sum(minor % 100 == 0 for minor in minors) > len(minors) // 5


def test_there_are_forty_participants_sponsored_foreign_and_leaning_ones_among_them() -> None:
    everybody = participants()
    own_caps = [p for p in everybody if p.listing.settles_through == p.listing.bic]

    assert len({p.listing.bic for p in everybody}) == 40
    assert sum(p.listing.settles_through != p.listing.bic for p in everybody) == 7
    assert sum(p.foreign for p in everybody) == 3
    assert {p.lean for p in everybody} == set(Lean)
    assert all(p.listing.caps for p in own_caps)
    assert not any(p.listing.caps for p in everybody if p not in own_caps)


def test_a_bic_of_ours_is_a_test_bic() -> None:
    assert all(participant.listing.bic[7] == "0" for participant in participants())


def test_a_sponsor_settles_for_itself() -> None:
    listings = {participant.listing.bic: participant.listing for participant in participants()}

    assert all(listings[entry.settles_through].settles_through == entry.settles_through for entry in listings.values())


def test_who_goes_off_line_comes_back() -> None:
    available: dict[str, bool] = {}
    for _, change in control.availability_changes(0, control.OUTAGE_EVERY):
        assert available.get(change.bic, True) is not change.available
        available[change.bic] = change.available

    assert len(available) == 3
    assert all(available.values())


def test_availability_changes_do_not_depend_on_the_batches_that_they_are_asked_in() -> None:
    whole = control.availability_changes(0, 12_000)
    parts = [change for first in range(0, 12_000, 7) for change in control.availability_changes(first, 7)]

    assert [change for change in parts if change[0] < 12_000] == whole


def test_accounts_of_a_population_are_tokens() -> None:
    population = Population(3, accounts=1_000)
    account = population.contact(population.fresh(Draws(3, "test"), "GBP"), 1)

    assert account.party.account.startswith("acct_")
    assert len(account.party.account) == len("acct_") + 26


def test_a_line_of_json_tells_the_record_of_bad_data_whole(a_run: list[Submission]) -> None:
    bad = of_kind(a_run, Kind.BAD_DATA)[0]

    assert b'"record":"' in line_of(bad, ACCEPTED_US, PRODUCER)
