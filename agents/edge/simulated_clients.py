"""The gateway's clients, simulated: they submit the workload over HTTP, open loop, and ask until they are answered.

Real clients are no patient ones.  Some send twice at once, some hang up in the middle and send again; all send again
when a connection breaks, when the gateway is busy, or when it is not there.  Every request of one key must be answered
the same; what contradicts an earlier answer is counted, and must never be.

A latency is measured from when the payment was due to its answer, with all retries in between: what a gateway makes
its clients wait is not hidden by clients who wait with their next payment.

    answers.jsonl     one line a submission: key, status, payment id, tries, latency
    clients.json      the sums, written at the end
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Final

from agents.edge.client_connections import Answer, ClientConnections
from agents.edge.errors import EdgeError
from agents.edge.process import Stop, edge_arguments, positive, run_process
from agents.edge.workload.draws import Draws
from agents.edge.workload.http_orders import ClientRequest, request_of
from agents.edge.workload.population import ACCOUNTS_DEFAULT
from agents.edge.workload.sequence import Workload

if TYPE_CHECKING:
    from pipeline.ports import Clock

ANSWERS: Final = "answers.jsonl"
SUMS: Final = "clients.json"
IN_FLIGHT_MAX: Final = 4_000
"""Submissions that wait for their answers; due ones wait for their turn then."""
RETRY_SECONDS: Final = 0.2
GIVE_UP_TRIES: Final = 300
_TWICE_PER_TEN_THOUSAND: Final = 200
_HANGS_UP_PER_TEN_THOUSAND: Final = 200
_HANG_UP_SECONDS: Final = 0.008
_AGAIN: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_MICROSECONDS: Final = 1_000_000

logger = logging.getLogger("payments.edge.clients")


@dataclass
class Sums:
    """What came of all submissions."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Of the last answers."""
    tries: int = 0
    broken: int = 0
    """Tries without an answer."""
    busy: int = 0
    """Tries refused with 429 or 503."""
    contradictions: int = 0
    """Answers that differed from an earlier one under the same key."""
    latencies_us: list[int] = field(default_factory=list)
    """Of what was accepted."""
    first: dict[str, Answer] = field(default_factory=dict)

    def as_json(self, seconds: float) -> dict[str, object]:
        """Return the sums by name."""
        return {
            "submissions": sum(self.statuses.values()),
            "accepted": self.statuses[HTTPStatus.ACCEPTED],
            "payments": sum(answer.status == HTTPStatus.ACCEPTED for answer in self.first.values()),
            "refused": {str(status): n for status, n in sorted(self.statuses.items()) if status != HTTPStatus.ACCEPTED},
            "tries": self.tries,
            "broken": self.broken,
            "busy": self.busy,
            "contradictions": self.contradictions,
            "requests_per_second": round(self.tries / seconds, 1),
            "answer_ms": {f"p{point}": self._latency_ms(point) for point in (50, 95, 99)}
            | {"max": self._latency_ms(100)},
        }

    def _latency_ms(self, point: int) -> float:
        ordered = sorted(self.latencies_us)
        return round(ordered[max(0, ceil(len(ordered) * point / 100) - 1)] / 1_000, 1) if ordered else 0.0


class SimulatedClients:
    """Submit a workload."""

    def __init__(self, clock: Clock, options: argparse.Namespace) -> None:
        """Make it inside the event loop that runs it."""
        self._clock = clock
        self._url = f"{options.gateway}/payments"
        self._connections = ClientConnections(self._url)
        self._seed = options.seed
        self._count = options.count
        self._payments_per_second = options.tps
        self._workload = Workload(options.seed, options.accounts)
        self._requests: list[ClientRequest] = []
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._answers = (options.data / ANSWERS).open("w", encoding="utf-8")
        self.sums = Sums()

    async def run(self) -> None:
        """Submit everything when it is due, and return when all of it is answered.

        All requests are made before the first is sent: what it takes to make them is not the gateway's to wait for.
        """
        made_us = self._clock.now_us()
        self._requests = [request_of(self._workload.at(index), self._seed, made_us) for index in range(self._count)]
        began_us = self._clock.now_us()
        async with asyncio.TaskGroup() as tasks:
            for index in range(self._count):
                due_us = began_us + round(index * _MICROSECONDS / self._payments_per_second)
                await self._room.acquire()
                if (wait_us := due_us - self._clock.now_us()) > 0:
                    await self._clock.sleep(wait_us / _MICROSECONDS)
                tasks.create_task(self._submit(index, due_us))
        self._connections.close()
        self._answers.close()

    async def _submit(self, index: int, due_us: int) -> None:
        request = self._requests[index]
        draws = Draws(self._seed, "patience", index)
        sends_twice = draws.happens(_TWICE_PER_TEN_THOUSAND)
        if draws.happens(_HANGS_UP_PER_TEN_THOUSAND):
            await self._hang_up(request)
        if sends_twice:
            answers = [*await asyncio.gather(self._until_answered(request), self._until_answered(request))]
        else:
            answers = [await self._until_answered(request)]
        for answer in answers:
            if self.sums.first.setdefault(request.key, answer) != answer:
                self.sums.contradictions += 1
        latency_us = self._clock.now_us() - due_us
        self.sums.statuses[answers[0].status] += 1
        payment_id = ""
        if answers[0].status == HTTPStatus.ACCEPTED:
            self.sums.latencies_us.append(latency_us)
            payment_id = json.loads(answers[0].body)["payment_id"]
        line = {"key": request.key, "status": answers[0].status, "payment_id": payment_id}
        self._answers.write(json.dumps(line | {"latency_us": latency_us}) + "\n")
        self._room.release()

    async def _hang_up(self, request: ClientRequest) -> None:
        try:
            async with asyncio.timeout(_HANG_UP_SECONDS):
                await self._try(request)
        except TimeoutError:
            pass

    async def _until_answered(self, request: ClientRequest) -> Answer:
        for _ in range(GIVE_UP_TRIES):
            answer = await self._try(request)
            if answer is not None and answer.status not in _AGAIN:
                return answer
            await self._clock.sleep(RETRY_SECONDS)
        raise EdgeError(f"the gateway at {self._url} has not answered {GIVE_UP_TRIES} tries of one payment")

    async def _try(self, request: ClientRequest) -> Answer | None:
        """Return what the gateway says, None if the connection breaks."""
        self.sums.tries += 1
        headers = {"Idempotency-Key": request.key, "Content-Type": request.media_type}
        try:
            answer = await self._connections.post(request.body, headers)
        except OSError:
            self.sums.broken += 1
            return None
        self.sums.busy += answer.status in _AGAIN
        return answer


async def _main(clock: Clock, stop: Stop, options: argparse.Namespace) -> None:
    options.data.mkdir(parents=True, exist_ok=True)
    began_us = clock.now_us()
    clients = SimulatedClients(clock, options)
    running = asyncio.create_task(clients.run())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not running.done():
        running.cancel()
        logger.info("stopped before all was submitted")
        return
    await running
    sums = clients.sums.as_json((clock.now_us() - began_us) / _MICROSECONDS)
    (options.data / SUMS).write_text(json.dumps(sums, indent=1), "utf-8")
    logger.info("all submitted and answered: %s", sums)


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    options = edge_arguments("Submit a seeded workload of payments to a gateway, as its clients do.")
    options.add_argument("--gateway", required=True, metavar="URL", help="where the gateway listens")
    options.add_argument("--seed", type=int, default=1, help="what is submitted is a function of it (default: 1)")
    options.add_argument("--tps", type=positive, default=500.0, help="submissions a second (default: 500)")
    options.add_argument("--count", type=int, required=True, help="submissions in all")
    options.add_argument("--accounts", type=int, default=ACCOUNTS_DEFAULT, help="accounts in the simulated world")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the clients; return the exit code."""
    options = parser().parse_args(arguments)
    return run_process(lambda clock, stop: _main(clock, stop, options))


if __name__ == "__main__":
    sys.exit(main())
