"""The edges as processes on the embedded log, killed with SIGKILL at any moment: each goes on, and nothing is twice."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from agents.edge.link_messages.terms import ReceivedPayment, Transaction
from agents.edge.participant_addresses import write_addresses
from agents.edge.participant_answers import plan_answer
from agents.edge.participant_queries import ParticipantQueries
from agents.edge.projector import Projector
from agents.edge.projector_store import FILE, SqliteTables
from agents.streams import CLEARING, CONTROL, OUTBOUND, OUTCOMES, PAYMENTS
from demo.participants import Ends
from pipeline.errors import Poison
from pipeline.kernel.envelope import decode
from pipeline.kernel.hashrange import FULL_RANGE
from pipeline.stream_logs.local import LocalLog
from schemas.events import CycleNetted, NetPosition, PaymentForwarded, PaymentRejected, PaymentSettled
from tests.builders import BANK_A, BANK_B, a_transfer, eur
from tests.unit.edge.upstream import Upstream, a_local_log, now, records_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KILLS = 5
SECONDS_MAX = 60.0
SEED = 1


class OurProcess:
    """A process, run as a user runs it."""

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, "-m", *arguments]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS_MAX)


class EdgeProcess(OurProcess):
    """One edge."""

    def __init__(self, name: str, folder: Path, *options: str) -> None:
        where = ("--log", f"local:{folder / 'log'}", "--data", str(folder / "data"))
        super().__init__(f"agents.edge.{name}", *where, *options)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds; fail if it does not within the time that anything here may take."""
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.003)


def kill_again_and_again(
    victims: Sequence[OurProcess], progress: Callable[[], int], steps: Iterator[None], kills: int = KILLS
) -> None:
    """Kill the victims when they have got a little further, at a moment that nobody chose; then let them go on."""
    chance = Random(SEED)
    for _ in range(kills):
        next(steps, None)
        begun = progress()
        wait_until(lambda begun=begun: progress() > begun)  # type: ignore[misc]
        time.sleep(chance.random() * 0.02)
        for victim in victims:
            victim.kill()
        for victim in victims:
            victim.start()
    for _ in steps:
        pass


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    log = a_local_log(tmp_path / "log")
    yield log
    log.close()


def distinct(records: list[bytes]) -> dict[bytes, set[bytes]]:
    """Return the different records under each lineage; whatever was put twice must be one record."""
    found = defaultdict(set)
    for record in records:
        try:
            lineage = decode(record).lineage
        except Poison:
            lineage = record
        found[lineage].add(record)
    return found


def no_steps() -> Iterator[None]:
    return iter(())


def test_a_killed_generator_submits_every_index_and_repeats_only_bytes(log: LocalLog, tmp_path: Path) -> None:
    count = 1_500
    options = ("--count", str(count), "--tps", "300", "--accounts", "1000", "--hearing-seconds", "0")
    generator = EdgeProcess("generator", tmp_path, *options)

    kill_again_and_again([generator], lambda: len(records_of(log, PAYMENTS)), no_steps())

    assert generator.process.wait(SECONDS_MAX) == 0
    records = distinct(records_of(log, PAYMENTS))
    readable = [lineage for lineage in records if len(lineage) == 24]
    assert all(len(same) == 1 for same in records.values())
    assert len(records) == count
    assert len(readable) > 0.99 * count


def forwarded(number: int, deadline_us: int) -> PaymentForwarded:
    transfer = a_transfer(number, accepted_us=deadline_us - 1)
    return PaymentForwarded(transfer, "sct-inst", f"{BANK_A}/EUR", deadline_us)


def received(payment: PaymentForwarded) -> ReceivedPayment:
    transfer = payment.transfer
    transaction = Transaction(BANK_A, transfer.transaction_id, BANK_B)
    return ReceivedPayment(transaction, payment.scheme, transfer.amount, transfer.accepted_us, "")


class LinkedProcesses:
    """The links and the participants at their other end."""

    def __init__(self, folder: Path) -> None:
        ends = Ends.in_folder(folder)
        banks = {ends.participants_address: [BANK_A, BANK_B]}
        write_addresses(ends.addresses_file, banks)
        data = ("--data", str(folder / "banks"), "--seed", str(SEED))
        self.participants = OurProcess("agents.cli", "participants", *data, *ends.participants_options)
        self.links = EdgeProcess("links", folder, *ends.links_options)

    def victims(self, who: str) -> list[OurProcess]:
        """Return the processes that ``who`` names."""
        everybody: dict[str, list[OurProcess]] = {"links": [self.links], "participants": [self.participants]}
        return everybody.get(who, [self.links, self.participants])


@pytest.mark.parametrize("who", ["links", "participants", "both"])
def test_killed_links_and_participants_send_nothing_twice_and_lose_no_answer(
    log: LocalLog, tmp_path: Path, who: str
) -> None:
    deadline_us = time.time_ns() // 1_000 + 3_600_000_000
    payments = [forwarded(number, deadline_us) for number in range(1, 601)]
    prompt = [p for p in payments if (plan_answer(SEED, received(p), 0).answer_us or deadline_us) < 2_000_000]
    clearing = Upstream(log)

    def send() -> Iterator[None]:
        for first in range(0, len(payments), 100):
            clearing.emit(OUTBOUND, BANK_B, *payments[first : first + 100])
            yield

    linked = LinkedProcesses(tmp_path)
    kill_again_and_again(linked.victims(who), lambda: len(distinct(records_of(log, CLEARING))), send())
    wait_until(lambda: len(distinct(records_of(log, CLEARING))) >= len(prompt))

    assert (linked.links.stop(), linked.participants.stop()) == (0, 0)
    answers = distinct(records_of(log, CLEARING))
    assert all(len(same) == 1 for same in answers.values())
    assert len(answers) == len(prompt)
    assert ParticipantQueries(tmp_path / "banks").sent_again() == 0


def test_a_killed_bank_settles_every_cycle_once(log: LocalLog, tmp_path: Path) -> None:
    cycles, clearing = 60, Upstream(log)
    low, high = FULL_RANGE.divide(2)

    def net() -> Iterator[None]:
        for cycle in range(cycles):
            debit, credit = NetPosition("A/EUR", "EUR", -cycle), NetPosition("B/EUR", "EUR", cycle)
            clearing.emit(OUTCOMES, "a", CycleNetted(cycle, low.first_bytes, low.last_bytes, (debit,)))
            clearing.emit(OUTCOMES, "b", CycleNetted(cycle, high.first_bytes, high.last_bytes, (credit,)))
            if cycle % 10 == 9:
                yield

    bank = EdgeProcess("rtgs", tmp_path)

    kill_again_and_again([bank], lambda: len(records_of(log, CONTROL)), net())
    wait_until(lambda: len(distinct(records_of(log, CONTROL))) >= cycles)

    assert bank.stop() == 0
    settled = distinct(records_of(log, CONTROL))
    assert len(settled) == cycles
    assert all(len(same) == 1 for same in settled.values())


def rows(folder: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)
    return connection.execute("SELECT * FROM payments ORDER BY payment_id").fetchall()


def test_a_killed_projector_writes_what_one_that_lives_writes(log: LocalLog, tmp_path: Path) -> None:
    upstream, batches = Upstream(log), 12

    def end() -> Iterator[None]:
        for batch in range(batches):
            ids = [f"payment-{batch}-{number}" for number in range(200)]
            settled = [PaymentSettled(i, eur("1.00"), f"{BANK_A}/EUR", f"{BANK_B}/EUR", 0, 1) for i in ids[:150]]
            rejected = [PaymentRejected(i, "clearing", "AM23", (), 1) for i in ids[150:]]
            upstream.emit(OUTCOMES, "key", *settled, *rejected)
            yield

    projector = EdgeProcess("projector", tmp_path)

    def known() -> int:
        try:
            return len(rows(tmp_path / "data"))
        except sqlite3.OperationalError:
            return 0

    kill_again_and_again([projector], known, end())
    wait_until(lambda: known() == batches * 200)

    assert projector.stop() == 0
    undisturbed = Projector(log, SqliteTables(tmp_path / "undisturbed"))
    while now(undisturbed.turn()):
        pass
    assert rows(tmp_path / "data") == rows(tmp_path / "undisturbed")


def options_of(name: str, folder: Path) -> tuple[str, ...]:
    return Ends.in_folder(folder).links_options if name == "links" else ()


@pytest.mark.parametrize("name", ["projector", "rtgs", "links"])
def test_an_edge_that_is_told_to_stop_ends_with_0(log: LocalLog, tmp_path: Path, name: str) -> None:
    edge = EdgeProcess(name, tmp_path, *options_of(name, tmp_path))
    wait_until(lambda: any((tmp_path / "data").glob("*.sqlite")))

    assert edge.stop() == 0


@pytest.mark.parametrize("name", ["projector", "rtgs", "links"])
def test_an_edge_ends_by_itself_when_its_time_is_over(log: LocalLog, tmp_path: Path, name: str) -> None:
    options = ("--seconds", "0.1", *options_of(name, tmp_path))
    assert EdgeProcess(name, tmp_path, *options).process.wait(SECONDS_MAX) == 0


def test_a_generator_that_is_told_how_long_submits_that_much(log: LocalLog, tmp_path: Path) -> None:
    options = ("--seconds", "0.5", "--tps", "200", "--accounts", "1000", "--hearing-seconds", "0")

    assert EdgeProcess("generator", tmp_path, *options).process.wait(SECONDS_MAX) == 0

    assert len(records_of(log, PAYMENTS)) == 100


def test_a_log_without_streams_is_said_to_be_one(tmp_path: Path) -> None:
    assert EdgeProcess("projector", tmp_path).process.wait(SECONDS_MAX) == 3


def test_a_generator_that_is_not_told_how_much_says_how_it_is_used(tmp_path: Path) -> None:
    assert EdgeProcess("generator", tmp_path).process.wait(SECONDS_MAX) == 2
