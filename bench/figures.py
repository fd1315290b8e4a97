"""From measurements to figures: microseconds a payment, by part.

    read      a batch from the log: frames found, checked and cut into user records
    decode    a record's envelope and its event
    agents    what the agents do, without reads of the store and without outputs
    state     reads of the store with the decoding of values, the commit, and what the store's own threads do: values
              encoded, one batch written, flushed and compacted
    encode    outputs: the event, its envelope, the hash of its key
    chain     the audit chain's digests
    publish   outputs cut up by shard and appended, until all of them are on disk
    rest      what the shard does around these

Read, publish and commit are the clean run's own; of its step, each part gets the share that it had in the run with the
stopwatch.  What other threads did during all these but publish was done for the store, on the same core, whatever else
was in hand, and is taken out of there.  So the parts add up to the total.

**The engine** is read + decode + state + publish: the "read, decode, state, append" of the performance budget.  Neither
encode nor chain nor rest is in it; ``without_agents`` has them all.

By the clock, a payment costs what its core was needed for, what the core waited for the disk, and on a machine that is
not quiet what the core did for others; the CPU figure is the first of the three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.measurement import KclMeasurement, Measurement, Spent

PARTS: Final = ("read", "decode", "agents", "state", "encode", "chain", "publish", "rest")
ENGINE: Final = ("read", "decode", "state", "publish")
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class AuthoriseFigures:
    """What the authorise stage costs in one world."""

    accounts: int
    claims: int
    """Dedupe ids in the state before the first payment."""
    payments: int
    authorised: int
    payments_per_second: float
    payments_per_second_median: float
    """Over ten equal portions of the run: what a disturbance of a moment does not change."""
    us_per_payment: float
    cpu_us_per_payment: float
    """Of all threads."""
    engine_us_per_payment: float
    engine_cpu_us_per_payment: float
    without_agents_us_per_payment: float
    without_agents_cpu_us_per_payment: float
    parts: dict[str, float]
    """By the clock; they add up to ``us_per_payment``."""
    cpu_parts: dict[str, float]
    """They add up to ``cpu_us_per_payment``."""
    resident_mib_max: float
    """Of the process, from its start to its end."""


@dataclass(frozen=True, slots=True)
class BytewaxFigures:
    """What the same payments cost with the same agents run by bytewax, and how many times as much that is."""

    version: str
    payments: int
    authorised: int
    payments_per_second: float
    us_per_payment: float
    cpu_us_per_payment: float
    ratio: float
    """Of our payments a second to theirs: above 1 we are faster."""
    ratio_cpu: float
    """The same of CPU time."""
    resident_mib_max: float


@dataclass(frozen=True, slots=True)
class KclFigures:
    """What the same payments cost to read from the embedded log, and to hear from KCL's daemon, in us a payment."""

    payments: int
    from_the_log_cpu_us: float
    from_the_daemon_cpu_us: float
    added_us_per_payment: float
    """By the clock, the other process's part included."""
    added_cpu_us_per_payment: float
    """Of the process of a shard, all its threads: what KCL's protocol costs it."""


def kcl_figures_of(measured: KclMeasurement) -> KclFigures:
    """Return the figures of one run both ways."""
    log = _us_per_payment(measured.from_the_log, measured.payments)
    daemon = _us_per_payment(measured.from_the_daemon, measured.payments)
    added = daemon.less(log)
    return KclFigures(measured.payments, log.cpu, daemon.cpu, round(added.wall, 2), round(added.cpu, 2))


def figures_of(clean: Measurement, watched: Measurement) -> AuthoriseFigures:
    """Return the figures of a clean run, its step divided as in the run with the stopwatch."""
    payments = clean.prepared.payments
    shares = _shares(watched.step_parts)
    store_threads = {name: spent.cpu - spent.own for name, spent in clean.phases.items() if name != "publish"}
    on_this_core = {} if clean.core is None else store_threads
    parts = _parts({name: spent.wall for name, spent in clean.phases.items()}, on_this_core, shares, payments)
    cpu_parts = _parts({name: spent.cpu for name, spent in clean.phases.items()}, store_threads, shares, payments)
    total = clean.total
    cost = _us_per_payment(total, payments)
    portions = zip(clean.portion_payments, clean.portions, strict=True)
    return AuthoriseFigures(
        accounts=clean.prepared.accounts,
        claims=clean.prepared.claims,
        payments=payments,
        authorised=clean.authorised,
        payments_per_second=round(payments / total.wall),
        payments_per_second_median=round(median(count / spent.wall for count, spent in portions)),
        us_per_payment=cost.wall,
        cpu_us_per_payment=cost.cpu,
        engine_us_per_payment=round(sum(parts[part] for part in ENGINE), 2),
        engine_cpu_us_per_payment=round(sum(cpu_parts[part] for part in ENGINE), 2),
        without_agents_us_per_payment=round(sum(parts.values()) - parts["agents"], 2),
        without_agents_cpu_us_per_payment=round(sum(cpu_parts.values()) - cpu_parts["agents"], 2),
        parts=parts,
        cpu_parts=cpu_parts,
        resident_mib_max=clean.resident_mib_max,
    )


def bytewax_figures_of(measured: Measurement, ours: AuthoriseFigures, version: str) -> BytewaxFigures:
    """Return the figures of a run by bytewax over the payments that ``ours`` are of."""
    payments = measured.prepared.payments
    cost = _us_per_payment(measured.total, payments)
    return BytewaxFigures(
        version=version,
        payments=payments,
        authorised=measured.authorised,
        payments_per_second=round(payments / measured.total.wall),
        us_per_payment=cost.wall,
        cpu_us_per_payment=cost.cpu,
        ratio=round(cost.wall / ours.us_per_payment, 2),
        ratio_cpu=round(cost.cpu / ours.cpu_us_per_payment, 2),
        resident_mib_max=measured.resident_mib_max,
    )


def _us_per_payment(total: Spent, payments: int) -> Spent:
    """Return microseconds a payment."""
    return Spent(*(round(seconds * _US / payments, 2) for seconds in total))


def _shares(step_parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(step_parts.values())
    return {part: seconds / total for part, seconds in step_parts.items()}


def _parts(
    phases: Mapping[str, float], store_threads: Mapping[str, float], shares: Mapping[str, float], payments: int
) -> dict[str, float]:
    """Return microseconds a payment by part, of the seconds of each phase and of the store's threads during it."""
    own = {name: seconds - store_threads.get(name, 0.0) for name, seconds in phases.items()}
    parts = {part: own["step"] * shares.get(part, 0.0) for part in PARTS}
    parts["read"] += own["read"]
    parts["state"] += own["commit"] + sum(store_threads.values())
    parts["publish"] += own["publish"]
    return {part: round(spent * _US / payments, 2) for part, spent in parts.items()}
