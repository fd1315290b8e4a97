"""Takes payments in: many at once, each claimed before it is appended, and answered once the log has it.

    waiting ── batch ─ tokens and remainders in the vault ─ claims ─ one put ─ answers
                       durable                              durable  durable

What comes while a batch is under way is the next batch, so a sync of a disk is shared by all who wait for it.  Before
each it waits a moment for more: what a batch costs by itself, its syncs and its ways between threads, is a good part of
what a payment costs, and the rest of the machine wants it, too.

A crash behind the vault's part leaves a remainder that nobody asks for; behind the claims, records that the next start
appends, and the client's retry too, whichever is first: the same bytes, which the authorise stage knows for a repeat.

Nobody is left in doubt.  What is refused as busy was not looked at: there are too many before it, or it was in no batch
for too long, or the batch in hand takes too long.  What is in a batch is answered when the log has it, however long
that takes; so is a retry of it, which a client sends who does not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from agents.edge.gateway.claims import Claim, ClaimStore, Standing
from agents.edge.gateway.orders import is_of_resend
from agents.edge.gateway.problems import Kind, Problem
from agents.edge.producer import EdgeProducer, Identity
from agents.edge.vault.port import OtherRemainderError, Vault
from agents.streams import OUTBOUND, PAYMENTS
from pipeline.kernel.agent import Output
from pipeline.kernel.envelope import decode
from pipeline.observe import metric_defs as defs
from schemas.codec import KINDS_OF_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from agents.edge.gateway.submissions import Submission
    from pipeline.observe.metrics import Metrics
    from pipeline.ports import Clock, Log
    from pipeline.settings import GatewaySettings
    from schemas.iso20022.walk import Content

    T = TypeVar("T")

PRODUCER: Final = b"gateway"
GATHER_SECONDS: Final = 0.005
"""For how long whoever comes first to a batch waits for others."""
STREAMS: Final = (PAYMENTS, OUTBOUND)
STREAM_OF_KIND: Final = {kind: stream for stream, kinds in KINDS_OF_STREAM.items() for kind in kinds}
_MICROSECONDS: Final = 1_000_000
_CONFLICT: Final = "something else was said first under this identity; it stays, and this was not taken"


@dataclass(slots=True, eq=False)
class _Waiting:
    submission: Submission
    answer: asyncio.Future[Claim]
    may_be_claimed: bool
    """Then it is answered when the log has it, however long that takes."""


class Stores(NamedTuple):
    """Where the gateway keeps things; asked in one thread, since a sync takes milliseconds."""

    vault: Vault
    claims: ClaimStore
    thread: ThreadPoolExecutor

    async def ask(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what ``function`` returns in the stores' thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, function, *arguments)


@dataclass
class Intake:
    """Takes payments in for one gateway."""

    stores: Stores
    log: Log
    clock: Clock
    settings: GatewaySettings
    metrics: Metrics
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _batch_since_us: int | None = None
    _in_hand: frozenset[str] = frozenset()
    """The ids of the batch in hand."""
    _appended: set[str] = field(default_factory=set)
    """Which the log has, and the claims are not told yet."""
    _closing: bool = False

    @property
    def waiting(self) -> int:
        """How many wait for their batch."""
        return len(self._waiting)

    @property
    def is_slow(self) -> bool:
        """Say whether the batch in hand takes longer than anybody should wait."""
        since_us = self._batch_since_us
        limit_us = self.settings.waiting_seconds_max * _MICROSECONDS
        return since_us is not None and self.clock.now_us() - since_us > limit_us

    async def start(self) -> None:
        """Append what a crash left claimed; ``LogError`` if the log has not the streams to append to."""
        for stream in STREAMS:
            await self.log.shards(stream)
        stores = self.stores
        await stores.ask(stores.claims.require_fact, "log", await self.log.incarnation_of(PAYMENTS))
        epoch = await stores.ask(stores.claims.epoch, self.clock.now_us())
        self._producer = EdgeProducer(self.log, self.clock, Identity(PRODUCER, epoch))
        left = await stores.ask(lambda: list(stores.claims.unappended()))
        while portion := left[: self.settings.batch_max]:
            await self._append(portion)
            left = left[len(portion) :]
        await self._note_appended()

    async def submit(self, submission: Submission) -> Claim:
        """Return the claim that stands once the log has its record; raise ``Problem`` if it is busy or a conflict."""
        in_hand = submission.claim_id in self._in_hand
        if not in_hand and (self._closing or len(self._waiting) >= self.settings.waiting_max or self.is_slow):
            raise self._busy()
        waiting = _Waiting(submission, asyncio.get_running_loop().create_future(), may_be_claimed=in_hand)
        self._waiting.append(waiting)
        self._arrived.set()
        await asyncio.wait((waiting.answer,), timeout=self.settings.waiting_seconds_max)
        if not waiting.answer.done() and not waiting.may_be_claimed:
            self._waiting.remove(waiting)
            raise self._busy()
        return await waiting.answer

    async def run(self) -> None:
        """Take in batch after batch, until closed; whatever else ends it ends the process."""
        waiting_gauge = self.metrics.gauge(defs.WAITING)
        while not (self._closing and not self._waiting):
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self.clock.sleep(GATHER_SECONDS)
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self.settings.batch_max))]
                waiting_gauge.set(len(self._waiting))
                await self._take_in(batch)
        await self._note_appended()

    def close(self) -> None:
        """Refuse what comes from now on; ``run`` ends behind what has come."""
        self._closing = True
        self._arrived.set()

    async def _take_in(self, batch: Sequence[_Waiting]) -> None:
        self._batch_since_us = self.clock.now_us()
        self._in_hand = frozenset(waiting.submission.claim_id for waiting in batch)
        for waiting in batch:
            waiting.may_be_claimed = True
        appended = frozenset(self._appended)
        standing = await self.stores.ask(self._claim, [waiting.submission for waiting in batch], appended)
        self._appended -= appended
        missing = {
            each.claim.claim_id: each.claim
            for each in standing
            if each is not None and not each.appended and each.claim.claim_id not in self._appended | appended
        }
        await self._append(list(missing.values()))
        for waiting, stands in zip(batch, standing, strict=True):
            if waiting.answer.done():
                continue
            if stands is None:
                waiting.answer.set_exception(Problem(Kind.CONFLICT, _CONFLICT))
            else:
                waiting.answer.set_result(stands.claim)
        self.metrics.histogram(defs.GATEWAY_BATCH).observe(len(batch))
        self._batch_since_us = None
        self._in_hand = frozenset()

    def _claim(self, batch: Sequence[Submission], appended: frozenset[str]) -> list[Standing | None]:
        """Return the claim that stands for each submission, None where that is another one's; in the thread."""
        vault, claims, _ = self.stores
        tokens = iter(vault.tokens([account for each in batch for account in each.accounts]))
        candidates = [each.claim(list(islice(tokens, len(each.accounts))), self._producer) for each in batch]
        ids = list(dict.fromkeys(each.claim_id for each in batch))
        standing = dict(zip(ids, claims.standing(ids), strict=True))
        first = {
            claim.claim_id: (claim, each.remainder)
            for claim, each in zip(reversed(candidates), reversed(batch), strict=True)
            if standing[claim.claim_id] is None
        }
        others = self._keep(
            {claim_id: remainder for claim_id, (_, remainder) in first.items() if remainder is not None}
        )
        wanted = [claim for claim, _ in first.values() if claim.claim_id not in others]
        standing |= {each.claim.claim_id: each for each in claims.claim(wanted, appended)}
        return [_same(candidate, standing[candidate.claim_id]) for candidate in candidates]

    def _keep(self, remainders: Mapping[str, Content]) -> frozenset[str]:
        """Keep remainders in the vault; return the ids under which a remainder of another order is kept already."""
        try:
            self.stores.vault.keep(remainders)
        except OtherRemainderError as refused:
            rest = {each: content for each, content in remainders.items() if each not in refused.ids}
            self.stores.vault.keep(rest)
            ids = sorted(refused.ids)
            kept = zip(ids, self.stores.vault.remainders(ids), strict=True)
            return frozenset(
                each for each, content in kept if content is None or not is_of_resend(content, remainders[each])
            )
        return frozenset()

    async def _append(self, claims: Sequence[Claim]) -> None:
        await self._producer.put([_output(claim) for claim in claims])
        self._appended.update(claim.claim_id for claim in claims)

    async def _note_appended(self) -> None:
        await self.stores.ask(self.stores.claims.claim, (), frozenset(self._appended))
        self._appended.clear()

    def _busy(self) -> Problem:
        return Problem(
            Kind.BUSY,
            "the request was not looked at: too many wait, or the log is slow; send it again, as the same one",
            retry_after_seconds=self.settings.retry_after_seconds,
        )


def _same(candidate: Claim, standing: Standing | None) -> Standing | None:
    return standing if standing is not None and standing.claim.digest == candidate.digest else None


def _output(claim: Claim) -> Output:
    envelope = decode(claim.record)
    return Output(STREAM_OF_KIND[envelope.kind], envelope.first, envelope.first, claim.record)
