"""The catalogue of faults, and how often each happens in the world of one seed.

Swarm testing: a seed does not have a bit of everything.  It draws for each kind of fault whether it happens at all,
and how often: what hides behind a frequent fault shows in a world without that one.

``docs/faults.md`` says what is promised under each.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """What can go wrong."""

    CRASH_WHILE_RESTORING = "crash while restoring"
    CRASH_BEFORE_STEP = "crash before step"
    CRASH_BEFORE_PUBLISH = "crash before publish"
    CRASH_HALF_PUBLISHED = "crash half published"
    CRASH_BEFORE_COMMIT = "crash before commit"
    CRASH_AFTER_COMMIT = "crash after commit"
    CRASH_BEFORE_FLUSH = "crash before flush"
    CRASH_AFTER_CHECKPOINT = "crash after checkpoint"
    CRASH_BEFORE_MANIFEST = "crash before manifest"
    CRASH_AFTER_MANIFEST = "crash after manifest"
    BATCHES_LOST = "unflushed batches lost"
    PUT_REFUSED = "put refused"
    PUT_PARTLY_REFUSED = "put partly refused"
    ACKNOWLEDGEMENT_LOST = "acknowledgement lost"
    PUT_LATE = "put lands after its time-out"
    PUT_AFTER_TAKE_OVER = "put lands after a take-over"
    TWO_OWNERS = "two owners of a shard"
    ZOMBIE_IN_MID_COMMIT = "zombie resumes in the middle of a commit"
    PAUSED = "process stands still for a while"
    SPLIT = "shard split"
    MERGE = "shards merged"
    SPLIT_OF_A_CHILD = "child of a reshard split or merged"
    RECORD_STRADDLES = "record lands on a shard that owns part of its keys"
    EMPTY_READ = "empty read with data ahead"
    READ_FAILED = "read fails or its iterator expired"
    LOG_UNAVAILABLE = "log unavailable for a while"
    DISK_FULL = "disk full"
    SNAPSHOTS_UNAVAILABLE = "snapshot store unavailable for a while"
    SNAPSHOT_CORRUPT = "snapshot corrupt"
    SNAPSHOT_TRUNCATED = "snapshot truncated"
    SNAPSHOT_SWAPPED = "snapshot swapped with another shard's"
    SNAPSHOT_LOST = "snapshot lost"
    SNAPSHOT_STALE = "snapshot stale"
    CLOCK_SKEWED = "ticker's clock skewed"
    CLOCK_JUMPED = "ticker's clock jumped"
    NIGHT = "hours pass at once"
    POISON = "poison record"
    DUPLICATE = "producer puts twice"
    OUT_OF_ORDER = "records arrive out of order"
    ANSWER_LATE = "participant answers late"
    ANSWER_TWICE = "participant answers twice"
    ANSWER_CONTRADICTORY = "participant contradicts itself"
    ANSWER_NEVER = "participant never answers"
    ANSWER_ONLY_WHEN_ASKED = "foreign participant answers only when asked"
    OLD_BUILD = "fleet of two builds around an activation"
    TRIM = "trim overtakes a reader"


class Recovery(StrEnum):
    """What the engine does about it; a sweep in which one never happens has not tested it."""

    FROM_ITS_OWN_STORE = "went on from its own store"
    FROM_A_SNAPSHOT = "restored from a snapshot"
    FROM_A_SPLIT_PARENT = "inherited from the parent of a split"
    FROM_MERGED_PARENTS = "inherited from both parents of a merge"
    FROM_GENESIS = "read a shard from its beginning"
    PASSED_OVER_A_SNAPSHOT = "passed over a damaged snapshot"
    WAITED_FOR_PARENTS = "waited for a parent's END snapshot"
    END_MADE_AGAIN = "made a lost END snapshot again"
    REPEAT_SENT = "sent an output again"
    REST_SENT = "sent the rest of a straddling record again"
    REST_OF_BROADCAST_SENT = "sent the rest of a broadcast again"
    HALTED_ON_UNKNOWN_BEHAVIOUR = "halted on a behaviour that the build does not know"
    HALTED_ON_TRIMMED_RANGE = "halted and named the range that was trimmed"
    REFUSED_A_FOREIGN_SNAPSHOT = "refused a snapshot of another shard"
    LIMBO_RESOLVED = "resolved a payment in limbo"
    CYCLE_FINALISED_BY_PIECES = "finalised a cycle piece by piece"


_LEFT_OUT: Final = 0.2
"""A seed leaves out a kind of fault with this probability."""
_NEVER_LEFT_OUT: Final = frozenset({Fault.SPLIT})


def _factor(fault: Fault, random: Random) -> float:
    left_out = random.random() < _LEFT_OUT and fault not in _NEVER_LEFT_OUT
    return 0.0 if left_out else 4 ** random.uniform(-1, 1)


class Odds:
    """How often things happen in the world of one seed: base odds, times a factor that the seed draws for each."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._factors = {fault: _factor(fault, random) for fault in Fault}
        self.fired: Counter[Fault] = Counter()
        self.recovered: Counter[Recovery] = Counter()
        self.calm = False
        """Once faults have stopped."""

    def of(self, fault: Fault, base: float) -> float:
        """Return the probability of ``fault``, which is ``base`` in a seed that changes nothing."""
        return 0.0 if self.calm else min(0.9, base * self._factors[fault])

    def happens(self, fault: Fault, base: float) -> bool:
        """Draw whether ``fault`` happens now, and count it if it does."""
        happens = self._random.random() < self.of(fault, base)
        if happens:
            self.fire(fault)
        return happens

    def fire(self, fault: Fault) -> None:
        """Count a fault."""
        self.fired[fault] += 1

    def recover(self, recovery: Recovery) -> None:
        """Count a recovery."""
        self.recovered[recovery] += 1
