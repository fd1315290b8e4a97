"""Two shards, each with some of the accounts, at different times, and a log that brings everything late.

Between two shards records keep their order; between others they do not.  However they interleave, both finalise the
same cycles with the same payments, and the nets sum to zero.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.streams import CLEARING
from pipeline.kernel.hashrange import FULL_RANGE, hash_key
from pipeline.kernel.position import Source
from pipeline.restore import genesis_rows
from pipeline.state.memory import MemoryStore
from schemas.events import CutOffScheduled, CycleNetted, PaymentAuthorised, PaymentSettled
from schemas.money import Money
from tests.builders import BANK_A, BANK_B
from tests.stage_under_test import START_US, StageUnderTest
from tests.unit.settlement.builders import BANK_C, SECOND_US, SPONSORED, Clearing, a_stage, listed

CYCLES = 4
CYCLE_US = 10 * SECOND_US
BANKS = (BANK_A, BANK_B, BANK_C, SPONSORED)
RANGES = FULL_RANGE.split(0xF6 << 120)
"""Bank A's account is on the second shard, the others' on the first."""
ROUTES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""From shard, to shard."""

Step = tuple[str, int, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(0, 3), st.integers(0, 3), st.integers(1, 10_00)),
        st.tuples(st.just("order"), st.integers(0, 3), st.integers(0, 3), st.integers(1, 10_00)),
        st.tuples(st.just("accept"), st.integers(0, 20), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 1), st.integers(1, 12), st.just(0)),
        st.tuples(st.just("bring"), st.integers(0, 3), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("restart"), st.integers(0, 1), st.just(0), st.just(0)),
    ),
    max_size=50,
)


def a_shard(number: int) -> Clearing:
    """Return one of the clearing's two shards."""
    stage, store = a_stage(), MemoryStore()
    store.write(genesis_rows(stage, Source("test", CLEARING, f"shard-{number}"), RANGES[number]))
    return listed(Clearing(StageUnderTest(stage, store)))


@dataclass
class TwoShards:
    """Both shards, and what is under way between them."""

    shards: tuple[Clearing, Clearing] = field(default_factory=lambda: (a_shard(0), a_shard(1)))
    orders: list[PaymentAuthorised] = field(default_factory=list)
    under_way: dict[tuple[int, int], deque[bytes]] = field(default_factory=lambda: {route: deque() for route in ROUTES})

    def __post_init__(self) -> None:
        for shard in self.shards:
            shard.stage.broadcast(
                *(CutOffScheduled(cycle, START_US + (cycle + 1) * CYCLE_US) for cycle in range(CYCLES))
            )

    def home(self, order: PaymentAuthorised) -> Clearing:
        return self.shards[owner(order.debtor_settlement_account)]

    def bring(self, route: tuple[int, int], count: int) -> None:
        waiting = self.under_way[route]
        records = [waiting.popleft() for _ in range(min(count, len(waiting)))]
        if records:
            self.shards[route[1]].stage.feed_bytes(*records)
        self.collect()

    def bring_all(self) -> None:
        while any(self.under_way.values()):
            for route in ROUTES:
                self.bring(route, len(self.under_way[route]))

    def collect(self) -> None:
        for number, shard in enumerate(self.shards):
            outputs = shard.stage.publisher.outputs
            for output in outputs:
                if output.stream == CLEARING:
                    for to in owners(output.first, output.last):
                        self.under_way[number, to].append(output.record)
            outputs[:] = [output for output in outputs if output.stream != CLEARING]

    def netted(self) -> list[CycleNetted]:
        return [o for shard in self.shards for o in shard.outcomes() if isinstance(o, CycleNetted)]

    def settled(self) -> list[PaymentSettled]:
        return [o for shard in self.shards for o in shard.outcomes() if isinstance(o, PaymentSettled)]


def owner(account: str) -> int:
    return int(hash_key(account) >= RANGES[1].first_bytes)


def account_of_bank(bank: str) -> str:
    """Return the euro account that a bank settles in."""
    return f"{BANK_A if bank == SPONSORED else bank}/EUR"


def owners(first: bytes, last: bytes) -> range:
    return range(int(first >= RANGES[1].first_bytes), int(last >= RANGES[1].first_bytes) + 1)


def live(steps: list[Step]) -> TwoShards:
    """Live through ``steps``, then let everything come and every cycle be cut off."""
    both = TwoShards()
    for step, first, second, third in steps:
        if step in {"pay", "order"} and first != second:
            number = len(both.orders)
            home = both.shards[owner(account_of_bank(BANKS[first]))]
            order = home.order(number, amount=Money(third, "EUR"), debtor=BANKS[first], creditor=BANKS[second])
            both.orders.append(order)
            if step == "pay":
                home.accept(order)
        elif step == "accept" and first < len(both.orders):
            both.home(both.orders[first]).accept(both.orders[first])
        elif step == "wait":
            stage = both.shards[first].stage
            stage.tick(stage.now_us + second * SECOND_US)
        elif step == "bring":
            both.bring(ROUTES[first], second)
        elif step == "restart":
            both.shards[first].restart()
        both.collect()
    for shard in both.shards:
        shard.stage.tick(max(shard.stage.now_us, START_US + CYCLES * CYCLE_US))
    both.collect()
    both.bring_all()
    return both


def test_the_accounts_lie_on_both_shards() -> None:
    assert {owner(account_of_bank(bank)) for bank in BANKS} == {0, 1}


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_both_shards_finalise_every_cycle_once_and_in_order(steps: list[Step]) -> None:
    both = live(steps)

    for shard in both.shards:
        assert [o.cycle for o in shard.outcomes() if isinstance(o, CycleNetted)] == list(range(CYCLES))


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_nets_of_both_shards_are_what_was_settled_and_sum_to_zero(steps: list[Step]) -> None:
    both = live(steps)

    for cycle in range(CYCLES):
        expected: dict[str, int] = {}
        for settled in both.settled():
            if settled.cycle == cycle:
                for account, sign in (
                    (settled.debtor_settlement_account, -1),
                    (settled.creditor_settlement_account, 1),
                ):
                    expected[account] = expected.get(account, 0) + sign * settled.amount.minor
        nets = {n.account: n.net_minor for netted in both.netted() if netted.cycle == cycle for n in netted.positions}
        assert nets == {account: net for account, net in expected.items() if net}
        assert sum(nets.values()) == 0
