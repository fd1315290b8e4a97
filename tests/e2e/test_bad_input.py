"""Whatever is put on the payments stream: it is parked with a reason, the shard goes on, and the counts show it."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from pathlib import Path

import pytest

from agents.edge.producer import Identity
from agents.edge.workload import bad_data
from agents.edge.workload.records import record_of
from agents.edge.workload.sequence import Kind, Submission, Workload
from agents.streams import PARKED, PAYMENTS
from demo.run import Plan
from pipeline.errors import LogError
from pipeline.kernel import system_events
from pipeline.kernel.envelope import FROM_EDGE, HEADER_BYTES, SOURCE_BYTES_MAX, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import hash_key
from pipeline.kernel.system_events import Parked, SourceEnded, Tick, kind_of_type
from pipeline.ports import Entry, Landed
from pipeline.stream_logs.local import LocalLog
from pipeline.system_clock import SystemClock
from schemas import codec
from schemas.codec import KINDS, VERSION
from schemas.events import AccountCredited, PaymentSubmitted
from tests.builders import a_party, a_transfer, eur
from tests.e2e.audit import audit
from tests.e2e.runs import DemoUnderTest
from tests.stage_under_test import START_US
from tests.unit.authorise.authorise_under_test import Authorise
from tests.unit.settlement.builders import an_order

pytestmark = pytest.mark.e2e

SOURCE = b"bad"
HASHED = hash_key(a_transfer().debtor.account)
HEADER = bad_data.Header(START_US, HASHED, edge_lineage(1, 1), SOURCE)
SUBMITTED = next(kind for kind, event_type in KINDS.items() if event_type is PaymentSubmitted)


def an_envelope(body: bytes, *, kind: int = SUBMITTED, version: int = VERSION, hashed: bytes = HASHED) -> bytes:
    return encode(Envelope(FROM_EDGE, kind, version, START_US, hashed, hashed, edge_lineage(1, 1), SOURCE, body))


def a_system_event(event: object) -> bytes:
    kind, version, body = system_events.encode(event)
    return an_envelope(body, kind=kind, version=version)


def an_event(event: object) -> bytes:
    kind, version, body = codec.encode(event)
    return an_envelope(body, kind=kind, version=version)


def with_bytes(record: bytes, at: int, put: bytes) -> bytes:
    return record[:at] + put + record[at + len(put) :]


CREDIT_FROM_NOTHING = AccountCredited("payment-0", a_party("account-1"), a_transfer().debtor, eur("10.00"), START_US)
BAD_SUBMISSIONS = {
    **{name: spoil(a_transfer(), HEADER) for name, spoil in bad_data.SPOILS.items()},
    bad_data.HUGE: bad_data.huge_string(a_transfer(), HEADER),
    "a record of 1 MiB": b"A" * (1 << 20),
    "nothing": b"",
    "text": "Zahle 10 € an Eva".encode(),
    "json": json.dumps({"kind": 1, "amount": -1}).encode(),
    "bytes that are no text": b"\xff\xfe\xfd" * 50,
    "half a header": an_envelope(b"")[: HEADER_BYTES // 2],
    "no body": an_envelope(b""),
    "an unknown origin": with_bytes(an_envelope(b"{}"), 1, b"\x07"),
    "a source longer than the record": with_bytes(an_envelope(b""), 6, SOURCE_BYTES_MAX.to_bytes(2, "big")),
    "an address that ends before it begins": with_bytes(an_envelope(b"{}"), 16, b"\xff" * 16 + b"\x00" * 16),
    "a body nested too deeply": an_envelope(b"\x91" * 100_000),
    "a body that never ends": an_envelope(b"\xdd\xff\xff\xff\xff"),
    "an event that no engine knows": an_envelope(b"", kind=14),
    "a credit that no clearing has settled": an_event(CREDIT_FROM_NOTHING),
    "an order that no hub has authorised": an_event(an_order(a_transfer())),
}
"""What counts as submitted, since a client may have meant something by it."""
BAD_SYSTEM_EVENTS = {
    "a tick with a body that cannot be read": an_envelope(b"\xc1", kind=kind_of_type[Tick]),
    "the end of a source, said by an edge": a_system_event(SourceEnded()),
}
"""What only looks like an event of the engine: parked, and nobody's submission."""


@pytest.mark.parametrize("name", [*BAD_SUBMISSIONS, *BAD_SYSTEM_EVENTS])
def test_a_bad_record_is_parked_with_a_reason_and_the_payment_behind_it_goes_its_way(name: str) -> None:
    bad = {**BAD_SUBMISSIONS, **BAD_SYSTEM_EVENTS}[name]
    good = a_transfer(2)
    authorise = Authorise()

    authorise.feed_bytes(bad, authorise.record(good.debtor.account, PaymentSubmitted(good)))

    (parked,) = authorise.emitted(PARKED)
    assert isinstance(parked, Parked)
    assert parked.reason
    assert parked.digest == sha256(bad).digest()
    assert parked.record in {bad, b""}
    assert authorise.authorised() == [good.payment_id]


def test_a_record_larger_than_a_stream_takes_is_refused_by_the_log(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, SystemClock())
    asyncio.run(log.create_stream(PAYMENTS, 1))

    with pytest.raises(LogError, match=r"1048577 bytes of user data is refused: the limit is 1048576"):
        asyncio.run(log.put_records(PAYMENTS, [Entry(HASHED, [b"A" * ((1 << 20) + 1)])]))

    log.close()


@pytest.mark.slow
def test_bad_input_is_parked_and_counted_and_the_payment_behind_it_settles(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 2.0, 50.0, shards=2, seed=3, cycle_seconds=1.5)
    demo = DemoUnderTest(plan)
    workload = Workload(plan.seed)
    of_workload = [workload.at(index).kind for index in range(plan.count)]
    good = workload.at(plan.count)

    report = demo.run(put_bad_records_before(good, demo))

    assert (report.accounted, report.conserved, report.replay_equal) == (True, True, True)
    assert report.restarts == {}
    assert report.submitted == plan.count + len(BAD_SUBMISSIONS) + 1
    assert report.outcomes["parked"] == of_workload.count(Kind.BAD_DATA) + len(BAD_SUBMISSIONS)
    found = audit(plan.log_folder)
    assert good.order.payment_id in found.settled()
    assert len(found.parked) == report.outcomes["parked"] + len(BAD_SYSTEM_EVENTS)
    assert all(parked.reason for parked in found.parked)


async def put_bad_records_before(good: Submission, demo: DemoUnderTest) -> None:
    """Once the demo is at work, put every bad record and then a payment on the shard of that payment."""
    await demo.until(lambda: demo.settled > 0)
    clock = SystemClock()
    log = LocalLog(demo.plan.log_folder, clock)
    payment = record_of(good, clock.now_us(), clock.now_us(), Identity(SOURCE, 1))
    for record in (*BAD_SUBMISSIONS.values(), *BAD_SYSTEM_EVENTS.values(), payment.record):
        (landed,) = await log.put_records(PAYMENTS, [Entry(payment.first, [record])])
        assert isinstance(landed, Landed)
    log.close()
