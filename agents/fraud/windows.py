"""What an account did in the last hour, day and 30 days: exact counts and sums, in event time.

The windows are rings of 12 buckets of 5 minutes, 24 of an hour and 30 of a day, the current bucket included: "the last
hour" is between 55 and 60 minutes.  Time is the shard's event time, which never goes back.  So a late event is counted
in the current bucket, a past bucket is never rewritten, and a replay over the hour's boundary counts what the first
reading counted.

The rings are kept as *marks*.  Every counter only grows; a mark says what the counters were when the first event of a
5-minute bucket arrived.  What happened in a window is then what the counters are now, less what its first mark says:
totals are never summed up and cannot drift, and an event costs one addition per counter, however many windows there
are.  Buckets in which nothing happened have no mark.

Marks stand one behind the other, the oldest first: those older than the day, those older than the hour, those of the
hour.  One that leaves the hour is kept if it is the first of its hour, and when it leaves the day if it is the first of
its day; all others are forgotten.  So there are at most 30 + 24 + 12, and most accounts have a few.  A mark begins with
its bucket, so that marks are compared as bytes; it has narrow fields until the counters outgrow them.  Then they count
from the beginning of the month again, and only an account that moves more than that in a month gets wide ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct, error
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

_BUCKETS_AN_HOUR: Final = 12
_BUCKETS_A_DAY: Final = 288
_HOUR_BUCKETS: Final = 12
_DAY_HOURS: Final = 24
_MONTH_DAYS: Final = 30
_BUCKET_BYTES: Final = 4
_HEADER: Final = Struct(">5I2QIBBB")
"""The counters, the bucket, how many marks are older than the day, how many than the hour, how wide a mark is."""


class _Form(NamedTuple):
    """How marks are packed: the bucket, then the counters."""

    mark: Struct
    counters: Struct
    """Of a mark, without its bucket."""
    width: int


_NARROW: Final = _Form(Struct(">I5H2I"), Struct(">4x5H2I"), 22)
_WIDE: Final = _Form(Struct(">I5i2q"), Struct(">4x5i2q"), 40)  # half of what the header holds: room for five minutes

WINDOWS_BYTES_MAX: Final = _HEADER.size + (_HOUR_BUCKETS + _DAY_HOURS + _MONTH_DAYS) * _WIDE.width

Counters = tuple[int, ...]


class Windows:
    """The counters of one account.  Call ``advance``, then read, then add."""

    __slots__ = ("_bucket", "_day_at", "_form", "_hour_at", "_marks", "counters", "day", "hour", "month")

    def __init__(self) -> None:
        self.counters = [0, 0, 0, 0, 0, 0, 0]
        """Since the account was opened, or since they were last made smaller: only differences mean something."""
        self.hour: Counters = ()
        """What the counters were when the last hour began; ``counters[n] - hour[n]`` is what it added."""
        self.day: Counters = ()
        self.month: Counters = ()
        self._bucket = -1
        self._form = _NARROW
        self._marks = b""
        self._day_at = self._hour_at = 0
        """Where the marks of the last day begin, and those of the last hour."""

    def advance(self, now_us: int) -> None:
        """Move the windows to ``now_us``; time before that of the last call counts as that."""
        bucket = now_us // BUCKET_US
        if bucket > self._bucket:
            self._enter(bucket)
        elif not self.hour:
            self._find_firsts()

    def encode(self) -> bytes:
        """Return the bytes to keep."""
        width, day_at = self._form.width, self._day_at
        older_than_hour = (self._hour_at - day_at) // width
        return _HEADER.pack(*self.counters, self._bucket, day_at // width, older_than_hour, width) + self._marks

    @classmethod
    def decode(cls, data: bytes) -> Windows:
        """Return the windows that :meth:`encode` wrote."""
        windows = cls()
        *windows.counters, windows._bucket, older_than_day, older_than_hour, width = _HEADER.unpack_from(data)
        windows._form = _NARROW if width == _NARROW.width else _WIDE
        windows._day_at = older_than_day * width
        windows._hour_at = windows._day_at + older_than_hour * width
        windows._marks = data[_HEADER.size :]
        return windows

    def _enter(self, bucket: int) -> None:
        """Begin ``bucket``: move on the marks that became too old, and leave one for it."""
        hour_from, day_from, month_from = _beginnings(bucket)
        marks, width = self._marks, self._form.width
        hour_at, day_at = self._hour_at, self._day_at
        if marks[hour_at : hour_at + _BUCKET_BYTES] < hour_from:
            marks, hour_at = _moved_on(marks, day_at, hour_at, hour_from, width, _BUCKETS_AN_HOUR)
        if marks[day_at : day_at + _BUCKET_BYTES] < day_from:
            before = len(marks)
            marks, day_at = _moved_on(marks, 0, day_at, day_from, width, _BUCKETS_A_DAY)
            hour_at -= before - len(marks)
        while marks and marks[:_BUCKET_BYTES] < month_from:
            marks = marks[width:]
            hour_at -= width
            day_at -= width
        self._marks, self._hour_at, self._day_at = marks, hour_at, day_at
        self._bucket = bucket
        try:
            self._marks += self._form.mark.pack(bucket, *self.counters)
        except error:  # a counter has outgrown its field
            self._make_room()
            self._marks += self._form.mark.pack(bucket, *self.counters)
        self._find_firsts()

    def _find_firsts(self) -> None:
        """Look up the first mark of each window."""
        unpack_from = self._form.counters.unpack_from
        self.hour = unpack_from(self._marks, self._hour_at)
        self.day = unpack_from(self._marks, self._day_at)
        self.month = unpack_from(self._marks)

    def _make_room(self) -> None:
        """Count from the beginning of the month again; if that does not fit narrow marks, take wide ones."""
        form = self._form
        marks: list[Counters] = list(form.mark.iter_unpack(self._marks))
        start = marks[0][1:] if marks else tuple(self.counters)
        self.counters = _less(self.counters, start)
        fit = max(self.counters[:SUM_OUT]) < 1 << 16 and max(self.counters[SUM_OUT:]) < 1 << 32
        self._form = _NARROW if fit else _WIDE
        pack, width = self._form.mark.pack, self._form.width
        self._marks = b"".join([pack(mark[0], *_less(mark[1:], start)) for mark in marks])
        self._day_at = self._day_at // form.width * width
        self._hour_at = self._hour_at // form.width * width


@lru_cache(maxsize=16)
def _beginnings(bucket: int) -> tuple[bytes, bytes, bytes]:
    """Return the first bucket of the hour, the day and the month that end with ``bucket``, as marks begin."""
    hour = bucket - _HOUR_BUCKETS + 1
    day = (bucket // _BUCKETS_AN_HOUR - _DAY_HOURS + 1) * _BUCKETS_AN_HOUR
    month = (bucket // _BUCKETS_A_DAY - _MONTH_DAYS + 1) * _BUCKETS_A_DAY
    return _in_mark(hour), _in_mark(day), _in_mark(month)


def _in_mark(bucket: int) -> bytes:
    return max(bucket, 0).to_bytes(_BUCKET_BYTES, "big")


def _moved_on(marks: bytes, first: int, at: int, before: bytes, width: int, period: int) -> tuple[bytes, int]:
    """Return ``marks`` without those between ``at`` and the bucket ``before`` that are not the first of a ``period``.

    The marks from ``first`` to ``at`` have been moved on earlier.  Also return where those begin that stay behind.
    """
    while at < len(marks) and (bucket := marks[at : at + _BUCKET_BYTES]) < before:
        behind = at + width
        if at > first:
            last = int.from_bytes(marks[at - width : at - width + _BUCKET_BYTES], "big")
            if last // period == int.from_bytes(bucket, "big") // period:
                marks = marks[:at] + marks[behind:]
                continue
        at = behind
    return marks, at


def _less(counters: Sequence[int], start: Sequence[int]) -> list[int]:
    return [now - before for now, before in zip(counters, start, strict=True)]
