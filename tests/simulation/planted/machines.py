"""Bugs in the step itself: what is news, when timers fire, how cycles close, what goes into the chain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from pipeline.errors import Poison, UnknownBehaviourError
from pipeline.kernel import keys
from pipeline.kernel.agent import Context, Stage
from pipeline.kernel.cycles import Cycles, Marker
from pipeline.kernel.envelope import FROM_SHARD, Envelope
from pipeline.kernel.hashrange import FULL_RANGE, HashRange
from pipeline.kernel.machine import Machine, _Opened
from pipeline.kernel.meta import Meta
from pipeline.kernel.position import NO_LINEAGE, Position
from pipeline.kernel.system_events import CycleClosed
from pipeline.kernel.tables import Changes, Dropped
from pipeline.kernel.timers import EncodedEvent, Timers
from pipeline.kernel.watermarks import Watermarks
from pipeline.ports import OutputPublisher, StateStore
from pipeline.shard import Shard


def shard_of(machine: type[Machine]) -> type[Shard]:
    """Return the shard that moves by such a machine."""

    class BrokenShard(Shard):
        def __init__(
            self, stage: Stage, store: StateStore, publisher: OutputPublisher, cached_per_table: int = 20_000
        ) -> None:
            super().__init__(stage, store, publisher, cached_per_table)
            self._machine = machine(stage, self.committed, store, cached_per_table)

    return BrokenShard


class WithOtherParts(Machine):
    """A machine that may have other watermarks, timers or cycles."""

    watermarks_type: ClassVar[type[Watermarks]] = Watermarks
    timers_type: ClassVar[type[Timers]] = Timers
    cycles_type: ClassVar[type[Cycles]] = Cycles

    def __init__(self, stage: Stage, meta: Meta, store: StateStore, cached_per_table: int) -> None:
        super().__init__(stage, meta, store, cached_per_table)
        self._watermarks = self.watermarks_type(store)
        self._timers = self._context.timers = self.timers_type(store)
        self._cycles = self._context.cycles = self.cycles_type(store)


# ------------------------------------------------------------------------------------------------------- what is news


class _ForgetfulWatermarks(Watermarks):
    def end(self, source: bytes, pieces: Iterable[HashRange]) -> None:
        for piece in pieces:
            self._taken[self.pieces.index(piece)].pop(source, None)

    def collect(self, changes: Changes) -> None:
        known = {(number, source): None for number, taken in enumerate(self._taken) for source in taken}
        for number, source in [changed for changed in self._changed if changed not in known]:
            changes[keys.WATERMARK + self._firsts[number] + source] = None
            del self._changed[number, source]
        super().collect(changes)


class ForgetsEndedSources(WithOtherParts):
    """A finished source leaves a tombstone: a late put of it is still a repeat."""

    watermarks_type = _ForgetfulWatermarks


class _OnePieceWatermarks(Watermarks):
    def take_broadcast(self, source: bytes, lineage: bytes, first: bytes, last: bytes) -> Sequence[HashRange]:
        number = max(n for n, piece_first in enumerate(self._firsts) if n == 0 or piece_first <= first)
        news = super().take_broadcast(source, lineage, self._firsts[number], self._lasts[number])
        return self.pieces if news else ()


class JudgesBroadcastsByTheFirstPiece(WithOtherParts):
    """A broadcast is news, or not, to each piece that it is addressed to."""

    watermarks_type = _OnePieceWatermarks


class _WatermarksOfTheShard(Watermarks):
    def _is_above_all(self, source: bytes, lineage: bytes) -> bool:
        return lineage > max(taken.get(source, NO_LINEAGE) for taken in self._taken)

    def take(self, source: bytes, lineage: bytes, hashed: bytes) -> bool:
        return self._is_above_all(source, lineage) and super().take(source, lineage, hashed)

    def take_broadcast(self, source: bytes, lineage: bytes, first: bytes, last: bytes) -> Sequence[HashRange]:
        return super().take_broadcast(source, lineage, first, last) if self._is_above_all(source, lineage) else ()


class KeepsOneWatermarkAShard(WithOtherParts):
    """Watermarks are per piece: the rest of a straddling record comes under a lower lineage."""

    watermarks_type = _WatermarksOfTheShard


class _LaxWatermarks(Watermarks):
    def take(self, source: bytes, lineage: bytes, hashed: bytes) -> bool:
        super().take(source, lineage, hashed)
        return True


class TakesRepeats(WithOtherParts):
    """What is not above the last lineage taken in is a repeat."""

    watermarks_type = _LaxWatermarks


class _OffByOneWatermarks(Watermarks):
    def take(self, source: bytes, lineage: bytes, hashed: bytes) -> bool:
        number = next(n for n, last in enumerate(self._lasts) if hashed <= last)
        return super().take(source, lineage, hashed) or self._taken[number][source] == lineage


class TakesTheLastOutputAgain(WithOtherParts):
    """The last lineage taken in is a repeat, too."""

    watermarks_type = _OffByOneWatermarks


class TakesWhatIsForOthers(Machine):
    """A record that landed on a shard that does not own its key is not this shard's to handle."""

    def _is_news(self, envelope: Envelope) -> Sequence[HashRange] | None:
        if envelope.first == envelope.last and not self._first <= envelope.first <= self._last:
            return ()
        return super()._is_news(envelope)


# ----------------------------------------------------------------------------------------------------- time and timers


class _TimersInOrderOfSetting(Timers):
    def pop_due(self, now_us: int) -> tuple[bytes, EncodedEvent] | None:
        for key, (due_us, event) in self._timers.items():
            if due_us <= now_us:
                del self._timers[key]
                self._changed[key] = None
                return key, event
        return super().pop_due(now_us)


class FiresTimersInOrderOfSetting(WithOtherParts):
    """Timers fire in the order of (due, key): the order of setting is lost at a restart."""

    timers_type = _TimersInOrderOfSetting


class FiresTimersBehindTheRecord(Machine):
    """Timers that are due fire before the record that moved the time: an answer at the deadline is late."""

    def _catch_up(self) -> None:
        """Wait for the record."""

    def _handle(self, opened: _Opened, envelope: Envelope, pieces: Sequence[HashRange]) -> None:
        super()._handle(opened, envelope, pieces)
        super()._catch_up()


class _TimersOneAtATime(Timers):
    _has_fired = False

    def pop_due(self, now_us: int) -> tuple[bytes, EncodedEvent] | None:
        due = None if self._has_fired else super().pop_due(now_us)
        self._has_fired = due is not None
        return due


class FiresOneTimerARecord(WithOtherParts):
    """All timers that are due fire before a record is handled."""

    timers_type = _TimersOneAtATime


class MovesTimeAtACommit(Machine):
    """Where a batch ends makes no difference, to the shard's time neither."""

    def collect(self) -> tuple[Meta, Changes, Dropped]:
        self._scope.now_us += 1
        return super().collect()


# --------------------------------------------------------------------------------------------------------------- cycles


class CoversEveryPiece(Machine):
    """A marker covers the pieces that it came for, and not all of the shard."""

    def _close_cycle(self, marker: CycleClosed, pieces: Sequence[HashRange]) -> None:
        super()._close_cycle(marker, self._watermarks.pieces)


class _HastyCycles(Cycles):
    def cover(self, marker: Marker, pieces: Iterable[HashRange]) -> list[Marker]:
        return super().cover(Marker(marker.cycle, FULL_RANGE), pieces)


class FinalisesWithTheFirstMarker(WithOtherParts):
    """A cycle is final when the markers of all ranges have come."""

    cycles_type = _HastyCycles


class _ClosesTogether(Cycles):
    def pass_cut_offs(self, now_us: int) -> list[Marker]:
        return super().pass_cut_offs(now_us)[:1]


class SendsOneMarkerForAllRanges(WithOtherParts):
    """Each own range tells by a marker of its own that it has closed a cycle."""

    cycles_type = _ClosesTogether


# ----------------------------------------------------------------------------------- lineages, the chain and behaviours


class _CountingContext(Context):
    begun = 0

    def begin(self, position: bytes, record: bytes) -> None:
        self.begun += 1
        super().begin(Position(self.begun, 0).pack(), record)


class CountsLineagesFromTheStart(Machine):
    """A lineage is the place of the input in its shard, and not in the process that read it."""

    def __init__(self, stage: Stage, meta: Meta, store: StateStore, cached_per_table: int) -> None:
        super().__init__(stage, meta, store, cached_per_table)
        self._context = _CountingContext(
            stage, meta.source.encode(), self._scope, self._timers, self._cycles, meta.hash_range
        )


class KeepsAHeadPerBatch(Machine):
    """Which chain heads are kept does not depend on where a batch ends."""

    def collect(self) -> tuple[Meta, Changes, Dropped]:
        self._heads[keys.HEAD + self._position] = self._head
        return super().collect()


class IgnoresUnknownBehaviours(Machine):
    """A build that does not know the behaviour that the log activated halts."""

    def _activate(self, version: int) -> None:
        try:
            super()._activate(version)
        except UnknownBehaviourError:
            super()._activate(max(self._stage.behaviours))


class BelievesEdges(Machine):
    """What only the product itself may say is poison when it comes from outside."""

    def _handle(self, opened: _Opened, envelope: Envelope, pieces: Sequence[HashRange]) -> None:
        super()._handle(opened, envelope._replace(origin=FROM_SHARD), pieces)


class DropsPoison(Machine):
    """A record that cannot be processed is parked, and never merely dropped."""

    def _handle(self, opened: _Opened, envelope: Envelope, pieces: Sequence[HashRange]) -> None:
        try:
            super()._handle(opened, envelope, pieces)
        except Poison:
            self._context.outputs.clear()
