"""The world around the product: clients, participants, the central bank, the calendar and operators.

They are as reliable as the product may ask of them, and no more: what they have put is durable, they repeat, they
disorder, their clocks are a little off, and participants answer as they please.  Each is idempotent by its business
keys, as ``PROTOCOL.md`` demands of edges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, Protocol

from agents.streams import CLEARING, CONTROL, OUTBOUND, OUTCOMES, PAYMENTS
from chaos.auditor.invariants import Breach, Invariant
from chaos.simulator.faults import Fault, Odds, Recovery
from chaos.simulator.topology import NEXT_VERSION
from chaos.virtual_time import SECOND_US, VirtualTime
from chaos.workload import PROVIDERS, Answers, Order, OrderKind, Workload, bank, listings
from pipeline.kernel.envelope import FROM_EDGE, Envelope, edge_lineage, encode
from pipeline.kernel.hashrange import FULL_RANGE, HashRange, hash_key, missing_from
from pipeline.kernel.system_events import FIRST_APPLICATION_KIND, CycleClosed, kind_of_type
from pipeline.ports import Entry
from schemas import codec
from schemas.events import (
    BehaviourOrdered,
    CutOffScheduled,
    CycleNetted,
    CycleSettled,
    ParticipantAnswered,
    PaymentForwarded,
    PaymentRejected,
    PaymentSettled,
    PaymentSubmitted,
    PaymentUnknown,
    SettlementCredited,
    StatusRequested,
)
from schemas.money import Money

CYCLE_US: Final = 60 * SECOND_US
_FIRST_CYCLE_US_MIN: Final = 15 * SECOND_US
ASKED_BEFORE_ANSWERING: Final = 2
_ANSWERS: Final[Mapping[Answers, tuple[bool, ...]]] = {
    Answers.ACCEPTS: (True,),
    Answers.REJECTS: (False,),
    Answers.ACCEPTS_LATE: (True,),
    Answers.ACCEPTS_TWICE: (True, True),
    Answers.CONTRADICTS: (True, False),
    Answers.CONTRADICTS_FIRST: (False, True),
    Answers.NEVER: (),
    Answers.ACCEPTS_WHEN_ASKED: (),
    Answers.REJECTS_WHEN_ASKED: (),
}
"""What a receiver says of itself, one after the other: accepted or not."""
_MARKER_KIND: Final = kind_of_type[CycleClosed]
_DISORDER_US: Final = 2 * SECOND_US
_MEAN_BETWEEN_ORDERS_US: Final = (20_000, 800_000, 800_000)
"""One of these, by order: some come in a row, and fill a batch."""
_LATE_US: Final = 3 * SECOND_US


def _nothing() -> None:
    """Wait for nothing."""


class World(Protocol):
    """What the edges may do."""

    time: VirtualTime
    odds: Odds
    random: Random

    @property
    def takes_puts(self) -> bool:
        """Say whether the log is there."""

    after: Callable[[int, Callable[[], None]], None]
    """Do something later."""

    def merge_at_a_cut_off(self) -> None:
        """Let operators merge shards, perhaps, when one has passed the cut-off and has told only some of the others."""

    def put(self, stream: str, entry: Entry, landed: Callable[[], None]) -> None:
        """Put a record, durably, and tell when that is done; an edge tries until it succeeds."""


def _asked_by(forwarded: PaymentForwarded) -> StatusRequested:
    """Return what an answer to a forwarded payment answers."""
    transfer = forwarded.transfer
    return StatusRequested(
        transfer.creditor.agent,
        transfer.payment_id,
        transfer.transaction_id,
        transfer.debtor.agent,
        forwarded.settlement_account,
    )


class Edges:
    """Everybody outside."""

    def __init__(self, world: World, orders: int) -> None:
        self._world = world
        self._random = world.random
        self._left = orders
        self._counter = 0
        self.workload = Workload(world.random)
        self.garbage: list[bytes] = []
        self.sent: dict[str, None] = {}
        """The payments whose order the log has taken, in that order."""
        self.settled: set[str] = set()
        self.limbo: set[str] = set()
        self._asked: dict[str, int] = defaultdict(int)
        self._answered: set[str] = set()
        self._pieces: dict[int, list[HashRange]] = defaultdict(list)
        self.cycles = 0
        """Cut-offs that were set."""

    @property
    def is_done(self) -> bool:
        """Say whether every order was given."""
        return self._left == 0

    def start(self) -> None:
        """Tell who there is, and begin."""
        for entry in listings():
            self._tell(CONTROL, CONTROL, entry)
        self._set_cut_off(self._random.randrange(_FIRST_CYCLE_US_MIN, CYCLE_US))
        self._world.after(5 * SECOND_US, self._order)
        upgrade_us = self._random.randrange(20, 150) * SECOND_US
        self._world.after(upgrade_us, self._order_the_next_behaviour)

    def stop(self, last_cut_off_us: int) -> None:
        """Give no more orders; let the last cycle be cut off in ``last_cut_off_us``, when all that can settle has."""
        self._left = 0
        self._world.after(last_cut_off_us - CYCLE_US, self._set_cut_off)

    # ------------------------------------------------------------------------------------------------------ clients

    def _order(self) -> None:
        if self._left == 0:
            return
        if not self._world.takes_puts:
            self._world.after(SECOND_US // 2, self._order)
            return
        self._left -= 1
        order = self.workload.draw(self._world.time.us)
        delayed = order.kind is OrderKind.PLAIN and self._world.odds.happens(Fault.OUT_OF_ORDER, 0.05)
        self._world.after(self._random.randrange(_DISORDER_US) if delayed else 0, lambda: self._submit(order))
        if self._world.odds.happens(Fault.DUPLICATE, 0.06):
            again = self.workload.recent()
            if again is not None:
                self._submit(again)
        if self._world.odds.happens(Fault.POISON, 0.03):
            self._put_garbage()
        mean_us = self._random.choice(_MEAN_BETWEEN_ORDERS_US)
        self._world.after(round(self._random.expovariate(1 / mean_us)), self._order)

    def _submit(self, order: Order) -> None:
        def landed() -> None:
            self.sent.setdefault(order.payment_id)
            self.workload.note_sent(order, self._world.time.us)

        self._tell(PAYMENTS, order.transfer.debtor.account, PaymentSubmitted(order.transfer), landed)

    def _put_garbage(self) -> None:
        number = len(self.garbage)
        account = f"{bank(number % PROVIDERS)}/EUR"
        hashed = hash_key(account)
        forged = SettlementCredited(f"forged-{number}", account, account, Money(1_00, "EUR"), self.cycles - 1)
        kind, version, body = codec.encode(forged)
        garbage = (
            encode(self._envelope(kind, version, hashed, body)),
            b"no envelope %d" % number,
            encode(self._envelope(999, 1, hashed, b"of a kind that is none %d" % number)),
            encode(self._envelope(256, 1, hashed, b"no body %d" % number)),
        )[number % 4]
        self.garbage.append(garbage)
        stream = self._random.choice((PAYMENTS, CLEARING))
        self._world.put(stream, Entry(hashed, [garbage]), _nothing)

    # ----------------------------------------------------------------------- participants, central bank, operators

    def hear(self, stream: str, envelope: Envelope) -> None:
        """Take in an output of the product, once."""
        if envelope.kind < FIRST_APPLICATION_KIND:
            if envelope.kind == _MARKER_KIND:
                self._world.after(0, self._world.merge_at_a_cut_off)
        elif stream == OUTBOUND:
            event = codec.decode(envelope.kind, envelope.version, envelope.body)
            if isinstance(event, PaymentForwarded):
                self._world.after(self._random.randrange(20_000, 200_000), lambda: self._receive(event))
            elif isinstance(event, StatusRequested):
                self._world.after(self._random.randrange(20_000, 400_000), lambda: self._be_asked(event))
        elif stream == OUTCOMES:
            self._hear_outcome(codec.decode(envelope.kind, envelope.version, envelope.body))

    def _hear_outcome(self, event: object) -> None:
        if isinstance(event, PaymentSettled):
            if event.payment_id in self.settled:
                raise Breach(Invariant.SETTLES_AT_MOST_ONCE, f"{event.payment_id} settles a second time")
            self.settled.add(event.payment_id)
        elif isinstance(event, PaymentUnknown):
            self.limbo.add(event.payment_id)
        elif isinstance(event, CycleNetted):
            self._hear_netted(event)
        if isinstance(event, PaymentSettled | PaymentRejected) and event.payment_id in self.limbo:
            self.limbo.remove(event.payment_id)
            self._world.odds.recover(Recovery.LIMBO_RESOLVED)

    def _hear_netted(self, netted: CycleNetted) -> None:
        pieces = self._pieces[netted.cycle]
        pieces.append(HashRange.from_bytes(netted.first, netted.last))
        if not missing_from(FULL_RANGE, pieces):
            if len(pieces) > 1:
                self._world.odds.recover(Recovery.CYCLE_FINALISED_BY_PIECES)
            self._world.after(
                self._random.randrange(SECOND_US, 20 * SECOND_US),
                lambda: self._tell(CONTROL, CONTROL, CycleSettled(netted.cycle)),
            )

    def _receive(self, forwarded: PaymentForwarded) -> None:
        """Answer as the order's receiver does; the same order again is known."""
        payment_id = forwarded.transfer.payment_id
        if payment_id in self._answered:
            return
        self._answered.add(payment_id)
        answers = self.workload.orders[payment_id].answers
        now_us = self._world.time.us
        soon_us = self._random.choice((50_000, 100_000, 300_000, 1_500_000))
        odds = self._world.odds
        if answers is Answers.ACCEPTS_LATE:
            odds.fire(Fault.ANSWER_LATE)
            soon_us = max(forwarded.deadline_us - now_us, 0) + self._random.choice((0, 1_000, _LATE_US))
        elif answers is Answers.NEVER:
            odds.fire(Fault.ANSWER_NEVER)
        elif answers in {Answers.ACCEPTS_WHEN_ASKED, Answers.REJECTS_WHEN_ASKED}:
            odds.fire(Fault.ANSWER_ONLY_WHEN_ASKED)
        elif answers is Answers.ACCEPTS_TWICE:
            odds.fire(Fault.ANSWER_TWICE)
        elif answers in {Answers.CONTRADICTS, Answers.CONTRADICTS_FIRST}:
            odds.fire(Fault.ANSWER_CONTRADICTORY)
        self._answer_in_turn(soon_us, _asked_by(forwarded), _ANSWERS[answers])

    def _be_asked(self, asked: StatusRequested) -> None:
        answers = self.workload.orders[asked.payment_id].answers
        self._asked[asked.payment_id] += 1
        enough = self._asked[asked.payment_id] >= ASKED_BEFORE_ANSWERING
        if answers in {Answers.ACCEPTS_WHEN_ASKED, Answers.REJECTS_WHEN_ASKED} and enough:
            self._answer(asked, accepted=answers is Answers.ACCEPTS_WHEN_ASKED)

    def _answer_in_turn(self, us: int, asked: StatusRequested, answers: Sequence[bool]) -> None:
        """Answer in ``us``, and say what else there is to say once that has arrived."""
        if not answers:
            return
        accepted, *others = answers
        pause_us = self._random.randrange(1, 2 * SECOND_US)

        def go_on() -> None:
            self._answer_in_turn(pause_us, asked, others)

        self._world.after(us, lambda: self._answer(asked, go_on, accepted=accepted))

    def _answer(self, asked: StatusRequested, landed: Callable[[], None] = _nothing, *, accepted: bool) -> None:
        answer = ParticipantAnswered(
            asked.transaction_id,
            asked.instructing_agent,
            asked.recipient,
            asked.settlement_account,
            accepted,
            "" if accepted else "AC04",
            self._world.time.us,
        )
        self._tell(CLEARING, asked.settlement_account, answer, landed)

    def _set_cut_off(self, us: int = CYCLE_US) -> None:
        self._tell(CONTROL, CONTROL, CutOffScheduled(self.cycles, self._world.time.us + us))
        self.cycles += 1
        if not self._world.odds.calm:
            self._world.after(us, self._set_cut_off)

    def _order_the_next_behaviour(self) -> None:
        for stage in ("authorise", "settle"):
            self._tell(CONTROL, CONTROL, BehaviourOrdered(stage, NEXT_VERSION))

    # --------------------------------------------------------------------------------------------------------- puts

    def _tell(self, stream: str, key: str, event: object, landed: Callable[[], None] = _nothing) -> None:
        kind, version, body = codec.encode(event)
        hashed = hash_key(key)
        self._world.put(stream, Entry(hashed, [encode(self._envelope(kind, version, hashed, body))]), landed)

    def _envelope(self, kind: int, version: int, hashed: bytes, body: bytes) -> Envelope:
        self._counter += 1
        lineage = edge_lineage(1, self._counter)
        return Envelope(FROM_EDGE, kind, version, self._world.time.us, hashed, hashed, lineage, b"edge", body)
