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
12 + 24 + 30, and most accounts have a few.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

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
_MARK = Struct(">5I2QI")  # the counters, then the bucket
_BUCKET = Struct(">I")
_BUCKET_AT = _MARK.size - _BUCKET.size
_MARK_BYTES = _MARK.size
_HEADER = Struct(">5I2QIBBB")  # the counters, the bucket, and how many marks wait in each queue
_COUNT_MAX = 1 << 31
_SUM_MAX = 1 << 63

WINDOWS_BYTES_MAX: Final = _HEADER.size + (_HOUR_BUCKETS + _DAY_HOURS + _MONTH_DAYS) * _MARK_BYTES

Counters = tuple[int, ...]
"""The counters in their order, and a bucket behind them."""


class Windows:
    """The counters of one account.  Call ``advance``, then read, then add."""

    __slots__ = ("_bucket", "_days", "_fives", "_hours", "counters", "day", "hour", "month")

    def __init__(self) -> None:
        self.counters = [0, 0, 0, 0, 0, 0, 0]
        """Since the account was opened, or since they were last made smaller: only differences mean something."""
        self.hour: Counters = (0, 0, 0, 0, 0, 0, 0, 0)
        """What the counters were when the last hour began; ``counters[n] - hour[n]`` is what it added."""
        self.day: Counters = self.hour
        self.month: Counters = self.hour
        self._bucket = -1
        self._fives = self._hours = self._days = b""

    def advance(self, now_us: int) -> None:
        """Move the windows to ``now_us``; time before that of the last call counts as that."""
        bucket = now_us // BUCKET_US
        if bucket > self._bucket:
            self._enter(bucket)

    def encode(self) -> bytes:
        """Return the bytes to keep."""
        fives, hours, days = self._fives, self._hours, self._days
        waiting = (len(fives) // _MARK_BYTES, len(hours) // _MARK_BYTES, len(days) // _MARK_BYTES)
        return _HEADER.pack(*self.counters, self._bucket, *waiting) + fives + hours + days

    @classmethod
    def decode(cls, data: bytes) -> Windows:
        """Return the windows that :meth:`encode` wrote."""
        windows = cls()
        *windows.counters, windows._bucket, fives, hours, _days = _HEADER.unpack_from(data)
        hours_at = _HEADER.size + fives * _MARK_BYTES
        days_at = hours_at + hours * _MARK_BYTES
        windows._fives = data[_HEADER.size : hours_at]
        windows._hours = data[hours_at:days_at]
        windows._days = data[days_at:]
        windows._find_firsts()
        return windows

    def _enter(self, bucket: int) -> None:
        """Begin ``bucket``: move on the marks that became too old, and leave one for it."""
        self._bucket = bucket
        self._retire_hours(bucket)
        self._retire_fives(bucket)
        self._retire_days(bucket)
        self._fives += _MARK.pack(*self.counters, bucket)
        self._find_firsts()
        counters = self.counters
        if max(counters[ORDERS], counters[PAYMENTS_IN]) >= _COUNT_MAX or max(counters[SUM_OUT:]) >= _SUM_MAX:
            self._make_smaller()

    def _retire_hours(self, bucket: int) -> None:
        hours = self._hours
        first_kept = (bucket // _BUCKETS_AN_HOUR - _DAY_HOURS + 1) * _BUCKETS_AN_HOUR
        at = 0
        while at < len(hours) and (marked := _BUCKET.unpack_from(hours, at + _BUCKET_AT)[0]) < first_kept:
            self._keep_first_of_day(hours[at : at + _MARK_BYTES], marked)
            at += _MARK_BYTES
        if at:
            self._hours = hours[at:]

    def _retire_fives(self, bucket: int) -> None:
        fives = self._fives
        first_kept = bucket - _HOUR_BUCKETS + 1
        first_hour_kept = (bucket // _BUCKETS_AN_HOUR - _DAY_HOURS + 1) * _BUCKETS_AN_HOUR
        at = 0
        while at < len(fives) and (marked := _BUCKET.unpack_from(fives, at + _BUCKET_AT)[0]) < first_kept:
            mark = fives[at : at + _MARK_BYTES]
            if marked < first_hour_kept:
                self._keep_first_of_day(mark, marked)
            elif _last_bucket(self._hours) // _BUCKETS_AN_HOUR != marked // _BUCKETS_AN_HOUR:
                self._hours += mark
            at += _MARK_BYTES
        if at:
            self._fives = fives[at:]

    def _keep_first_of_day(self, mark: bytes, marked: int) -> None:
        if _last_bucket(self._days) // _BUCKETS_A_DAY != marked // _BUCKETS_A_DAY:
            self._days += mark

    def _retire_days(self, bucket: int) -> None:
        days = self._days
        first_kept = (bucket // _BUCKETS_A_DAY - _MONTH_DAYS + 1) * _BUCKETS_A_DAY
        at = 0
        while at < len(days) and _BUCKET.unpack_from(days, at + _BUCKET_AT)[0] < first_kept:
            at += _MARK_BYTES
        if at:
            self._days = days[at:]

    def _find_firsts(self) -> None:
        """Look up the first mark of each window: it stands in the oldest queue that has one."""
        self.hour = _MARK.unpack_from(self._fives)
        self.day = _MARK.unpack_from(self._hours) if self._hours else self.hour
        self.month = _MARK.unpack_from(self._days) if self._days else self.day

    def _make_smaller(self) -> None:
        """Count from the beginning of the month again, so that counters and marks fit their fields for ever."""
        start = self.month[:-1]
        self.counters = [now - before for now, before in zip(self.counters, start, strict=True)]
        self._fives, self._hours, self._days = (
            b"".join(
                _MARK.pack(*(then - before for then, before in zip(counters, start, strict=True)), bucket)
                for *counters, bucket in _MARK.iter_unpack(queue)
            )
            for queue in (self._fives, self._hours, self._days)
        )
        self._find_firsts()


def _last_bucket(queue: bytes) -> int:
    """Return the bucket of the last mark; -1 is in no hour or day that has a mark."""
    return int.from_bytes(queue[-_BUCKET.size :], "big") if queue else -1
