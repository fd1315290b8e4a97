"""Any history at all: random orders, answers, clocks, cut-offs and restarts, against a model that keeps only a list.

The model knows nothing of tables, claims or events.  It decides each payment by summing over all payments there ever
were, as a person with the books would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settlement.transfers import State
from pipeline.state.digest import END_OF_KEYS
from schemas.events import (
    CutOffScheduled,
    PaymentAuthorised,
    PaymentExpired,
    PaymentRejected,
    PaymentSettled,
    PaymentUnknown,
)
from schemas.money import Money
from schemas.schemes.catalogue import SCHEMES
from tests.builders import BANK_A, BANK_B
from tests.unit.settlement.builders import (
    BANK_C,
    CAP_MINOR,
    FOREIGN_BANK,
    SECOND_US,
    SPONSORED,
    Clearing,
    a_clearing,
    account_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SENDERS = (BANK_A, BANK_B, SPONSORED)
RECEIVERS = (BANK_A, BANK_B, BANK_C, SPONSORED, FOREIGN_BANK)
ACCOUNTS = ("ALFADEFF/EUR", "BRAVDEFF/EUR", "CHARDEFF/EUR", "FRGNUS33/EUR")
AMPLE = 100_000_000_00

Step = tuple[str, int, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.integers(0, 2), st.integers(0, 4), st.integers(1, 600_00)),
        st.tuples(st.just("order"), st.integers(0, 2), st.integers(0, 4), st.integers(1, 600_00)),
        st.tuples(st.just("accept"), st.integers(0, 30), st.just(0), st.just(0)),
        st.tuples(st.just("accept"), st.integers(0, 30), st.just(0), st.just(0)),
        st.tuples(st.just("reject"), st.integers(0, 30), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 8), st.just(0), st.just(0)),
        st.tuples(st.just("loop back"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("cut off"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("settle cycle"), st.integers(0, 5), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@dataclass
class Entry:
    """A payment in the books."""

    order: PaymentAuthorised
    state: State
    cycle: int = -1
    credited: bool = False

    @property
    def amount(self) -> int:
        return self.order.transfer.amount.minor


@dataclass
class Books:
    """The model."""

    entries: list[Entry] = field(default_factory=list)
    open_cycle: int = 0
    final_cycle: int = -1
    settled_cycles: list[int] = field(default_factory=list)

    def net_debit(self, account: str, cycle: int) -> int:
        posted = [entry for entry in self.entries if entry.cycle == cycle]
        debits = sum(entry.amount for entry in posted if entry.order.debtor_settlement_account == account)
        credited = [entry for entry in posted if entry.credited]
        return debits - sum(e.amount for e in credited if e.order.creditor_settlement_account == account)

    def exposure(self, account: str) -> int:
        waiting = [entry for entry in self.entries if entry.state in {State.FORWARDED, State.UNKNOWN}]
        pending = sum(entry.amount for entry in waiting if entry.order.debtor_settlement_account == account)
        closed = [
            cycle for cycle in range(self.open_cycle) if cycle > self.final_cycle or cycle not in self.settled_cycles
        ]
        owed = sum(max(0, self.net_debit(account, cycle)) for cycle in closed)
        return pending + owed + self.net_debit(account, self.open_cycle)

    def take(self, order: PaymentAuthorised) -> None:
        account = order.debtor_settlement_account
        cap = CAP_MINOR if account == "ALFADEFF/EUR" else AMPLE
        fits = self.exposure(account) + order.transfer.amount.minor <= cap
        book_transfer = order.transfer.debtor.agent == order.transfer.creditor.agent
        self.entries.append(Entry(order, State.FORWARDED if fits and not book_transfer else State.REFUSED))

    def answer(self, number: int, *, accepted: bool) -> None:
        entry = self.entries[number]
        if entry.state in {State.FORWARDED, State.UNKNOWN}:
            entry.state = State.SETTLED if accepted else State.REJECTED
            entry.cycle = self.open_cycle if accepted else -1

    def pass_time(self, now_us: int) -> None:
        for entry in self.entries:
            scheme = SCHEMES[entry.order.scheme]
            if entry.state is State.FORWARDED and now_us >= entry.order.transfer.accepted_us + scheme.answer_us_max:
                entry.state = State.UNKNOWN if scheme.on_timeout == "hold" else State.EXPIRED

    def loop_back(self) -> None:
        for entry in self.entries:
            entry.credited = entry.state is State.SETTLED
        self.final_cycle = self.open_cycle - 1


OUTCOME_OF = {
    State.REFUSED: PaymentRejected,
    State.REJECTED: PaymentRejected,
    State.SETTLED: PaymentSettled,
    State.EXPIRED: PaymentExpired,
}


def live(steps: Sequence[Step], *, restarts: bool = True) -> tuple[Clearing, Books]:
    """Live through ``steps`` in the clearing and in the books."""
    clearing, books = a_clearing(), Books()
    for step, first, second, third in steps:
        if step == "order":
            debtor, creditor = SENDERS[first], RECEIVERS[second]
            scheme = "sct-inst-foreign" if creditor == FOREIGN_BANK else "sct-inst"
            amount = Money(third, "EUR")
            number = len(books.entries)
            books.take(clearing.order(number, amount=amount, debtor=debtor, creditor=creditor, scheme=scheme))
        elif step in {"accept", "reject"} and first < len(books.entries):
            order = books.entries[first].order
            (clearing.accept if step == "accept" else clearing.reject)(order)
            books.answer(first, accepted=step == "accept")
        elif step == "wait":
            clearing.stage.tick(clearing.stage.now_us + first * SECOND_US)
            books.pass_time(clearing.stage.now_us)
        elif step == "loop back":
            clearing.loop_back()
            books.loop_back()
        elif step == "cut off":
            clearing.stage.broadcast(CutOffScheduled(books.open_cycle, clearing.stage.now_us))
            clearing.stage.tick(clearing.stage.now_us)
            books.open_cycle += 1
        elif step == "settle cycle":
            clearing.settle_cycle(first)
            books.settled_cycles.append(first)
        elif step == "restart" and restarts:
            clearing.restart()
    return clearing, books


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_every_payment_ends_as_in_the_books(steps: list[Step]) -> None:
    clearing, books = live(steps)

    ended: dict[str, list[type]] = {}
    for outcome in clearing.outcomes():
        if isinstance(outcome, PaymentRejected | PaymentSettled | PaymentExpired):
            ended.setdefault(outcome.payment_id, []).append(type(outcome))
    expected = {
        entry.order.transfer.payment_id: [OUTCOME_OF[entry.state]]
        for entry in books.entries
        if entry.state in OUTCOME_OF
    }
    assert ended == expected


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_what_is_unknown_is_told_once_and_stays_reserved(steps: list[Step]) -> None:
    clearing, books = live(steps)

    told = [outcome.payment_id for outcome in clearing.outcomes() if isinstance(outcome, PaymentUnknown)]
    limbo = [entry.order.transfer.payment_id for entry in books.entries if entry.state is State.UNKNOWN]
    waiting = [entry for entry in books.entries if entry.state in {State.FORWARDED, State.UNKNOWN}]
    assert len(told) == len(set(told))
    assert set(limbo) <= set(told)
    assert sum(account_of(clearing, name).pending_minor for name in ACCOUNTS) == sum(e.amount for e in waiting)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_nets_of_every_cycle_are_those_of_the_books_and_sum_to_zero(steps: list[Step]) -> None:
    clearing, books = live([*steps, ("cut off", 0, 0, 0), ("loop back", 0, 0, 0)])

    for cycle in range(books.open_cycle):
        nets = clearing.nets(cycle)
        expected = {name: -books.net_debit(name, cycle) for name in ACCOUNTS}
        assert nets == {name: net for name, net in expected.items() if net}
        assert sum(nets.values()) == 0


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_a_restart_changes_nothing(steps: list[Step]) -> None:
    through, _ = live(steps, restarts=False)
    restarted, _ = live(steps)

    assert restarted.stage.shard.committed == through.stage.shard.committed
    assert list(restarted.stage.store.scan(b"", END_OF_KEYS)) == list(through.stage.store.scan(b"", END_OF_KEYS))
