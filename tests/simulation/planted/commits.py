"""Bugs in how a shard moves: step, publish, commit; and in what its store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaos.simulator.ports import SimulatedStore
from pipeline.kernel import keys
from pipeline.kernel.agent import Output
from pipeline.ports import Record
from pipeline.shard import Shard


class CommitsBeforePublishing(Shard):
    """An output must be stored before the input is marked as read."""

    async def process(self, records: Sequence[Record]) -> None:
        outputs = self.step(records)
        self.commit()
        await self.publish(outputs)


class PublishesBehindTheEnd(Shard):
    """A source says that it ended behind its last output, and not before it."""

    _held: Sequence[Output] = ()

    async def process(self, records: Sequence[Record]) -> None:
        outputs = self.step(records)
        held, self._held = self._held, outputs
        await self.publish(held)
        self.commit()

    async def finish(self) -> None:
        await super().finish()
        await self.publish(self._held)


class WritesTwice(SimulatedStore):
    """A commit is one write: where the shard stands is never written without what it knows."""

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().write({row: value for row, value in changes.items() if row == keys.META})
        super().write({row: value for row, value in changes.items() if row != keys.META}, dropped)


class _Forgets(SimulatedStore):
    prefix: bytes

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        is_commit = keys.META in changes and self.get(keys.META) is not None  # else the shard is being set up
        kept = {row: value for row, value in changes.items() if not is_commit or row[:1] != self.prefix}
        super().write(kept, dropped)


class ForgetsWatermarks(_Forgets):
    """What was taken in is committed with what it caused."""

    prefix = keys.WATERMARK


class ForgetsTimers(_Forgets):
    """Deadlines are state: they outlive the process that set them."""

    prefix = keys.TIMER


class ForgetsClosedCycles(_Forgets):
    """Which cycle a range has closed is committed with the markers that it sent."""

    prefix = keys.CLOSED


class ForgetsCoverage(_Forgets):
    """Which markers came is committed with the watermarks that drop their repeats."""

    prefix = keys.COVERAGE


class ForgetsCutOffs(_Forgets):
    """The calendar is state."""

    prefix = keys.CUT_OFF


class ForgetsToDropGenerations(SimulatedStore):
    """A commit deletes what has passed in the same write."""

    def write(self, changes: Mapping[bytes, bytes | None], dropped: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().write(changes, [bounds for bounds in dropped if bounds[0][:1] != keys.HORIZON])
