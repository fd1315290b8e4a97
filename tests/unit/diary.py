"""A stage for tests of the shard runtime: it counts notes per key, waits, closes cycles, and stumbles when told to.

feed("k", Noted("a"))      ->   out: Counted(1)
feed("k", Remind(30))      ->   out: Reminded, once the stage's time has passed 30 us more
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import msgspec

from pipeline.errors import Poison
from pipeline.kernel.agent import Behaviour, Context, Handlers, Stage
from pipeline.kernel.envelope import FROM_SHARD, decode, encode
from pipeline.kernel.position import Position, pack_lineage
from pipeline.kernel.system_events import CycleFinalised
from pipeline.kernel.tables import MessagePackValues, Tables

DIARY = "diary"
OUT = "out"
PARKED = "parked"
SKEW_US_MAX = 1_000
HORIZON_US = 10_000_000


class Mishap(Enum):
    """What an agent may stumble over."""

    RAISE = "raise"
    POISON = "poison"
    POISON_AFTER_OUTPUT = "poison after output"
    PARK = "park"
    LARGE_OUTPUT = "large output"
    UNENDED = "unended"


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to count under the key; a text counts only once within the horizon."""

    text: str


@dataclass(frozen=True, slots=True)
class Remind:
    """Wait, then say so - or stumble."""

    after_us: int
    name: str = ""
    mishap: Mishap | None = None


@dataclass(frozen=True, slots=True)
class RemindNow:
    """The timer."""

    name: str
    mishap: Mishap | None


@dataclass(frozen=True, slots=True)
class CutOff:
    """When a cycle is cut off."""

    cycle: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Stumble:
    """Does what ``mishap`` says, with ``reason``."""

    mishap: Mishap
    reason: str = "stumbled"


@dataclass(frozen=True, slots=True)
class Counted:
    """The number of notes under a key."""

    count: int


@dataclass(frozen=True, slots=True)
class Reminded:
    """A timer fired."""

    at_us: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Finalised:
    """A cycle is final."""

    cycle: int


@dataclass(frozen=True, slots=True)
class Unheard:
    """No agent takes it."""


EVENTS = (Noted, Remind, RemindNow, CutOff, Stumble, Counted, Reminded, Finalised, Unheard)
TOLD_BY_EDGES = frozenset(EVENTS) - {RemindNow}


class DiaryCodec:
    """MessagePack, version 1."""

    def encode(self, event: object) -> tuple[int, int, bytes]:
        return 256 + EVENTS.index(type(event)), 1, msgspec.msgpack.encode(event)

    def decode(self, kind: int, version: int, body: bytes) -> object:
        if kind - 256 >= len(EVENTS) or version != 1:
            raise Poison(f"unknown kind {kind}, version {version}")
        decoded: object = msgspec.msgpack.decode(body, type=EVENTS[kind - 256])
        return decoded


class Diarist:
    """The only agent; the second behaviour counts by tens."""

    def __init__(self, tables: Tables, step: int) -> None:
        self._counts = tables.keyed(1, MessagePackValues(int))
        self._noted = tables.horizon(2, MessagePackValues(bool), HORIZON_US)
        self._step = step

    def handlers(self) -> Handlers:
        return {
            Noted: self.note,
            Remind: self.wait,
            RemindNow: self.remind,
            CutOff: self.cut_off,
            CycleFinalised: self.finalise,
            Stumble: self.stumble,
        }

    def note(self, noted: Noted, ctx: Context) -> None:
        if self._noted.get(noted.text.encode()):
            return
        self._noted.put(True, noted.text.encode())
        count = (self._counts.get() or 0) + self._step
        self._counts.put(count)
        ctx.emit(OUT, noted.text, Counted(count))

    def wait(self, remind: Remind, ctx: Context) -> None:
        ctx.set_timer(ctx.now_us + remind.after_us, b"", RemindNow(remind.name, remind.mishap))

    def remind(self, now: RemindNow, ctx: Context) -> None:
        if now.mishap is not None:
            self.stumble(Stumble(now.mishap), ctx)
        ctx.emit(OUT, "reminder", Reminded(ctx.now_us, now.name))

    def cut_off(self, cut_off: CutOff, ctx: Context) -> None:
        ctx.cycles.schedule(cut_off.cycle, cut_off.at_us)

    def finalise(self, final: CycleFinalised, ctx: Context) -> None:
        ctx.emit(OUT, "cycles", Finalised(final.cycle))

    def stumble(self, stumble: Stumble, ctx: Context) -> object | None:
        if stumble.mishap is Mishap.RAISE:
            raise RuntimeError(stumble.reason)
        if stumble.mishap is Mishap.POISON:
            raise Poison(stumble.reason)
        if stumble.mishap is Mishap.POISON_AFTER_OUTPUT:
            ctx.emit(OUT, "output", Counted(0))
            raise Poison(stumble.reason)
        if stumble.mishap is Mishap.PARK:
            ctx.park(stumble.reason)
        if stumble.mishap is Mishap.LARGE_OUTPUT:
            ctx.emit(OUT, "output", Noted("x" * 1_000_000))
        return stumble if stumble.mishap is Mishap.UNENDED else None


def diary_stage(versions: tuple[int, ...] = (1, 2)) -> Stage:
    """Return the stage, as a build that knows these versions of its behaviour."""
    behaviours = {
        1: Behaviour(lambda tables: (Diarist(tables, 1),), TOLD_BY_EDGES, skew_us_max=SKEW_US_MAX, head_every=4),
        2: Behaviour(lambda tables: (Diarist(tables, 10),), TOLD_BY_EDGES, skew_us_max=2 * SKEW_US_MAX, head_every=4),
    }
    known = {version: behaviours[version] for version in versions}
    return Stage("diary", DIARY, (DIARY, OUT), PARKED, DiaryCodec(), known)


def sent_by(shard: str, number: int, record: bytes, index: int = 0) -> bytes:
    """Return ``record`` as output ``index`` of the ``number``-th input of another shard."""
    lineage = pack_lineage(Position(number, 0).pack(), index)
    source = f"test/upstream/{shard}".encode()
    return encode(decode(record)._replace(origin=FROM_SHARD, lineage=lineage, source=source))
