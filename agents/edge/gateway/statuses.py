"""How payments stand, as the projector's tables say; and waiting for that.

Whoever waits is looked after by one task, which looks once for all of them, so a thousand who wait cost no more than
one look each.  Without tables nothing is known of a payment but that it was accepted.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from agents.edge.projector_tables import NoTablesError, PaymentReader, open_reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.ports import Clock

    Standing = Mapping[str, object]


class PaymentStatuses:
    """Asks the projector's tables, in a thread of its own."""

    def __init__(self, tables: str | None, region: str | None, clock: Clock, poll_seconds: float) -> None:
        """Ask the tables called ``tables`` as soon as the projector has made them."""
        self._tables = tables
        self._region = region
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="statuses")
        self._reader: PaymentReader | None = None
        self._waiting: dict[str, list[asyncio.Future[Standing]]] = {}
        self._somebody_waits = asyncio.Event()

    async def of(self, payment_id: str) -> Standing | None:
        """Return how a payment stands, None if the projector does not know it yet."""
        (standing,) = await self._look([payment_id])
        return standing

    async def recall_answer(self, payment_id: str) -> tuple[str, str] | None:
        """Return what was answered to a payment's recall: the reason, and the payment back, empty for a no."""
        if self._tables is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._read_recall, self._tables, payment_id
        )

    async def outcome(self, payment_id: str, seconds: float) -> Standing | None:
        """Return how a payment stands as soon as that is known, None if it is not within ``seconds``."""
        waiting: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(payment_id, []).append(waiting)
        self._somebody_waits.set()
        done, _ = await asyncio.wait((waiting,), timeout=seconds)
        if done:
            return waiting.result()
        self._waiting[payment_id].remove(waiting)
        if not self._waiting[payment_id]:
            del self._waiting[payment_id]
        return None

    async def run(self) -> None:
        """Look for what is waited for, until cancelled."""
        while True:
            await self._somebody_waits.wait()
            ids = list(self._waiting)
            for payment_id, standing in zip(ids, await self._look(ids), strict=True):
                if standing is not None:
                    for waiting in self._waiting.pop(payment_id, ()):
                        waiting.set_result(standing)
            if not self._waiting:
                self._somebody_waits.clear()
            await self._clock.sleep(self._poll_seconds)

    def close(self) -> None:
        """Close the tables."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    async def _look(self, payment_ids: Sequence[str]) -> list[Standing | None]:
        if self._tables is None:
            return [None] * len(payment_ids)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, self._tables, payment_ids)

    def _read(self, tables: str, payment_ids: Sequence[str]) -> list[Standing | None]:
        reader = self._opened(tables)
        return [None if reader is None else reader.payment(payment_id) for payment_id in payment_ids]

    def _read_recall(self, tables: str, payment_id: str) -> tuple[str, str] | None:
        reader = self._opened(tables)
        answers = [] if reader is None else reader.recalls(payment_id)
        return answers[0] if answers else None

    def _opened(self, tables: str) -> PaymentReader | None:
        """Return the reader, None as long as there are no tables; in the thread."""
        if self._reader is None:
            try:
                self._reader = open_reader(tables, self._region)
            except NoTablesError:
                return None
        return self._reader

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
