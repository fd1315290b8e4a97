"""What an account did in the last hour, day and 30 days: exact counts and sums, in event time.

The windows are rings of 12 buckets of 5 minutes, 24 of an hour and 30 of a day, the current bucket included: "the last
hour" is between 55 and 60 minutes.  Time is the shard's event time, which never goes back.  So a late event is counted
in the current bucket, a past bucket is never rewritten, and a replay over the hour's boundary counts what the first
reading counted.

The rings are kept as *marks*.  Every counter only grows; a mark says what the counters were when the first event of a
5-minute bucket arrived.  What happened in a window is then what the counters are now, less what its first mark says:
totals are never summed up and cannot drift, and an event costs one addition per counter, however many windows there
are.  Buckets in which nothing happened have no mark.

Marks wait in three queues.  One that is too old for the hour moves on to the day's queue if it is the first of its
hour, and from there to the month's if it is the first of its day; all others are forgotten.  So there are at most
12 + 24 + 30, and most accounts have a few.  A mark has narrow fields until the counters outgrow them; then they count
from the beginning of the month again, and only an account that moves more than that in a month gets wide ones.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

ORDERS: Final = 0
"""Orders to pay, also those that were refused or held."""
PAYMENTS_OUT: Final = 1
PAYMENTS_IN: Final = 2
NEW_PAYEES: Final = 3
NEW_PAYERS: Final = 4
SUM_OUT: Final = 5
"""Minor units of the account's one currency, as is the next."""
SUM_IN: Final = 6

BUCKET_US: Final = 300_000_000
DAY_US: Final = 86_400_000_000
COUNTED_MINOR_MAX: Final = 10**12
"""What one payment adds to a sum at most (ten billion): 18 million such payments in 30 days still fit 64 bits.

Counts have 32 bits: 1,600 orders a second of one account, for 30 days, which is more than a Kinesis shard takes.
"""

_BUCKETS_AN_HOUR = 12
_BUCKETS_A_DAY = 288
_HOUR_BUCKETS = 12
_DAY_HOURS = 24
_MONTH_DAYS = 30
_BUCKET_BYTES = 4
_HEADER = Struct(">5I2QIBBB")  # the counters, the bucket, then how long the first two queues are and how wide a mark is


class _Form(NamedTuple):
    """How marks are packed: the counters, then the bucket; and where it ends to hold the counters."""

    mark: Struct
    count_end: int
    sum_end: int

    def holds(self, counters: list[int]) -> bool:
        return max(counters[:SUM_OUT]) < self.count_end and max(counters[SUM_OUT:]) < self.sum_end


_NARROW = _Form(Struct(">5H2II"), 1 << 16, 1 << 32)
_WIDE = _Form(Struct(">5I2QI"), 1 << 31, 1 << 63)  # half of what the fields hold: the rest is room for five minutes

WINDOWS_BYTES_MAX: Final = _HEADER.size + (_HOUR_BUCKETS + _DAY_HOURS + _MONTH_DAYS) * _WIDE.mark.size

Counters = tuple[int, ...]
"""The counters in their order, and a bucket behind them."""


class Windows:
    """The counters of one account.  Call ``advance``, then read, then add."""

    __slots__ = ("_bucket", "_days", "_fives", "_form", "_hours", "counters", "day", "hour", "month")

    def __init__(self) -> None:
        self.counters = [0, 0, 0, 0, 0, 0, 0]
        """Since the account was opened, or since they were last made smaller: only differences mean something."""
        self.hour: Counters = (0, 0, 0, 0, 0, 0, 0, 0)
        """What the counters were when the last hour began; ``counters[n] - hour[n]`` is what it added."""
        self.day: Counters = self.hour
        self.month: Counters = self.hour
        self._bucket = -1
        self._form = _NARROW
        self._fives = self._hours = self._days = b""

    def advance(self, now_us: int) -> None:
        """Move the windows to ``now_us``; time before that of the last call counts as that."""
        bucket = now_us // BUCKET_US
        if bucket > self._bucket:
            self._enter(bucket)

    def encode(self) -> bytes:
        """Return the bytes to keep."""
        fives, hours, width = self._fives, self._hours, self._form.mark.size
        header = _HEADER.pack(*self.counters, self._bucket, len(fives) // width, len(hours) // width, width)
        return header + fives + hours + self._days

    @classmethod
    def decode(cls, data: bytes) -> Windows:
        """Return the windows that :meth:`encode` wrote."""
        windows = cls()
        *windows.counters, windows._bucket, fives, hours, width = _HEADER.unpack_from(data)
        windows._form = _NARROW if width == _NARROW.mark.size else _WIDE
        hours_at = _HEADER.size + fives * width
        days_at = hours_at + hours * width
        windows._fives = data[_HEADER.size : hours_at]
        windows._hours = data[hours_at:days_at]
        windows._days = data[days_at:]
        windows._find_firsts()
        return windows

    def _enter(self, bucket: int) -> None:
        """Begin ``bucket``: move on the marks that became too old, and leave one for it."""
        first_hour = (bucket // _BUCKETS_AN_HOUR - _DAY_HOURS + 1) * _BUCKETS_AN_HOUR
        first_day = (bucket // _BUCKETS_A_DAY - _MONTH_DAYS + 1) * _BUCKETS_A_DAY
        if self._hours and self.day[-1] < first_hour:
            self._retire_hours(first_hour)
        if self._fives and self.hour[-1] <= bucket - _HOUR_BUCKETS:
            self._retire_fives(bucket - _HOUR_BUCKETS + 1, first_hour)
        if self._days:
            self._retire_days(first_day)
        if not self._form.holds(self.counters):
            self._make_room()
        self._bucket = bucket
        self._fives += self._form.mark.pack(*self.counters, bucket)
        self._find_firsts()

    def _retire_hours(self, first_kept: int) -> None:
        """Move the marks before ``first_kept`` on to the month's queue."""
        hours, width = self._hours, self._form.mark.size
        at = 0
        while at < len(hours) and (bucket := _bucket_of(hours, at + width)) < first_kept:
            self._keep_first_of_day(hours[at : at + width], bucket)
            at += width
        self._hours = hours[at:]

    def _retire_fives(self, first_kept: int, first_hour: int) -> None:
        """Move on the marks before ``first_kept``: those before ``first_hour`` to the month's queue, else the day's."""
        fives, width = self._fives, self._form.mark.size
        at = 0
        while at < len(fives) and (bucket := _bucket_of(fives, at + width)) < first_kept:
            mark = fives[at : at + width]
            if bucket < first_hour:
                self._keep_first_of_day(mark, bucket)
            elif _last_bucket(self._hours) // _BUCKETS_AN_HOUR != bucket // _BUCKETS_AN_HOUR:
                self._hours += mark
            at += width
        self._fives = fives[at:]

    def _keep_first_of_day(self, mark: bytes, bucket: int) -> None:
        if _last_bucket(self._days) // _BUCKETS_A_DAY != bucket // _BUCKETS_A_DAY:
            self._days += mark

    def _retire_days(self, first_kept: int) -> None:
        days, width = self._days, self._form.mark.size
        at = 0
        while at < len(days) and _bucket_of(days, at + width) < first_kept:
            at += width
        if at:
            self._days = days[at:]

    def _find_firsts(self) -> None:
        """Look up the first mark of each window: it stands in the oldest queue that has one."""
        unpack_from = self._form.mark.unpack_from
        self.hour = unpack_from(self._fives)
        self.day = unpack_from(self._hours) if self._hours else self.hour
        self.month = unpack_from(self._days) if self._days else self.day

    def _make_room(self) -> None:
        """Count from the beginning of the month again; if that does not fit narrow marks, take wide ones."""
        queues = [list(self._form.mark.iter_unpack(queue)) for queue in (self._fives, self._hours, self._days)]
        start = next((queue[0][:-1] for queue in reversed(queues) if queue), tuple(self.counters))
        self.counters = [now - before for now, before in zip(self.counters, start, strict=True)]
        self._form = _NARROW if _NARROW.holds(self.counters) else _WIDE
        pack = self._form.mark.pack
        self._fives, self._hours, self._days = (
            b"".join(
                pack(*(then - before for then, before in zip(counters, start, strict=True)), bucket)
                for *counters, bucket in queue
            )
            for queue in queues
        )


def _bucket_of(queue: bytes, end: int) -> int:
    """Return the bucket of the mark that ends at ``end``."""
    return int.from_bytes(queue[end - _BUCKET_BYTES : end], "big")


def _last_bucket(queue: bytes) -> int:
    """Return the bucket of the last mark; -1 is in no hour or day that has a mark."""
    return int.from_bytes(queue[-_BUCKET_BYTES:], "big") if queue else -1
