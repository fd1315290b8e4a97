"""Every metric, declared once: name, labels and what an operator reads from it.

``metrics.py`` makes them real; dashboards, alerts and the documentation are generated from here.  Times are in seconds
and named so, except the lag, which everybody speaks of in milliseconds.  No label ever holds what belongs to a
customer: stages, shards, streams, outcomes and currencies only, so that the number of series is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

HOP_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Around the bars that hops and decisions are held to: 20, 60, 150 and 300 ms."""
PART_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""For what happens inside one batch."""
SNAPSHOT_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
BATCH_RECORDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


@dataclass(frozen=True, slots=True)
class CounterDefinition:
    """A number that only grows, from 0 at the process's start; Prometheus sees it as ``name_total``."""

    name: str
    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GaugeDefinition:
    """A number that is what it is now."""

    name: str
    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HistogramDefinition:
    """How often a value fell below each of ``buckets``."""

    name: str
    text: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]


# --- what comes in and goes out ------------------------------------------------------------------------------------

RECORDS_IN = CounterDefinition("pipeline_records_in", "User records taken in and committed.", ("stage", "shard"))
"""The load, ticks included: an idle shard still counts its ticks.  A shard that counts none at all is not owned, or
hangs."""

BATCH_USER_RECORDS = HistogramDefinition(
    "pipeline_batch_user_records", "User records in one batch.", ("stage",), BATCH_RECORDS
)
"""Mostly at the upper end means that the shard is behind and works in full batches."""

OUTPUTS = CounterDefinition("pipeline_outputs", "Records published and committed.", ("stage", "stream"))
"""A broadcast counts once."""

PARKED = CounterDefinition("pipeline_parked", "Records that could not be processed, kept whole.", ("stage", "shard"))
"""Should stand still.  Each one waits on the parked stream, with the reason, to be looked at and re-driven."""

OUTCOMES = CounterDefinition("payments_outcomes", "Payments by what became of them.", ("stage", "outcome"))
"""Which events are outcomes is the application's to say.  A restart that repeats a batch counts it again: these are
rates for a dashboard; what is owed stands in the state."""

# --- how long it takes ---------------------------------------------------------------------------------------------

HOP = HistogramDefinition(
    "pipeline_hop_seconds", "From a record's arrival in the log to its batch's commit.", ("stage",), HOP_SECONDS
)
"""Waiting included: the first sign of a shard that cannot keep up."""

DECISION = HistogramDefinition(
    "payments_decision_seconds", "From a payment's acceptance to its durable decision.", ("stage",), HOP_SECONDS
)
"""What the service level is about: 99.99 % within 150 ms."""

STEP = HistogramDefinition("pipeline_step_seconds", "Agents' work on one batch.", ("stage",), PART_SECONDS)
"""Pure computation and reads of state.  Grows with the batch, and with state that the cache does not hold."""

REFUSED = CounterDefinition("pipeline_refused_entries", "Records that the log did not take.", ("stage", "shard"))
"""Each is put again, and its shard waits until it is taken: throttling, a full disk, or a log that is down."""

PUBLISH = HistogramDefinition(
    "pipeline_publish_seconds", "Until a batch's outputs are stored.", ("stage",), HOP_SECONDS
)
"""The log's sync or its network, and any retry: where most of a hop goes when all is well."""

COMMIT = HistogramDefinition("pipeline_commit_seconds", "Writing a batch's state.", ("stage",), PART_SECONDS)
"""Memory only; above some milliseconds the state store is stalling on its compactions."""

# --- at the gateway ------------------------------------------------------------------------------------------------

REQUESTS = CounterDefinition(
    "payments_gateway_requests", "Requests answered, by what they asked for.", ("route", "status")
)
"""429 is a client above its own rate; 503 is the gateway or the log that cannot keep up: alert on these."""

ANSWER = HistogramDefinition(
    "payments_gateway_answer_seconds", "From a payment's last byte to its answer, durable.", (), HOP_SECONDS
)
"""Grows with the syncs of vault, claims and log, and with the batch."""

GATEWAY_BATCH = HistogramDefinition(
    "payments_gateway_batch_payments", "Payments claimed and put together.", (), BATCH_RECORDS
)
"""One at a time is an idle gateway; mostly at the upper end, it is as fast as its disk lets it be."""

WAITING = GaugeDefinition("payments_gateway_waiting", "Payments that wait for their batch.", ())

# --- how far behind ------------------------------------------------------------------------------------------------

LAG_RECORDS = GaugeDefinition("pipeline_lag_records", "User records behind the last batch.", ("stage", "shard"))
LAG_MS = GaugeDefinition("pipeline_lag_ms", "Age of the last batch behind the newest record.", ("stage", "shard"))
"""Alert on this one: it says how long a payment waits before anybody looks at it."""

LAST_PROGRESS = GaugeDefinition(
    "pipeline_last_progress_timestamp_seconds", "When the last batch was committed.", ("stage", "shard")
)
"""Ticks come several times a second, so a value some seconds old means that the shard stands still."""

# --- what is held --------------------------------------------------------------------------------------------------

OWNED_SHARDS = GaugeDefinition("pipeline_owned_shards", "Shards that this worker processes.", ("stage",))
"""Their sum over all workers should be the number of shards that were not read to their end."""

DAEMON_RESTARTS = GaugeDefinition("pipeline_kcl_daemon_restarts", "Times the KCL daemon was started anew.", ("stage",))
"""Each took all shards of the stage that were here down for some seconds; rising all the time, look for a shard that
fails."""

STALLED_SHARDS = GaugeDefinition("pipeline_kcl_stalled_shards", "Shards here that do not progress.", ("stage",))
"""Alert above 0: also of a shard whose state is never there, which has no other figures.  /health names it."""

TIMERS = GaugeDefinition("pipeline_timers", "Deadlines set and not yet due.", ("stage", "shard"))
"""In the clearing: payments that wait for an answer.  All of them are in memory."""

CACHED_ROWS = GaugeDefinition("pipeline_cached_rows", "Rows of keyed state kept decoded.", ("stage", "shard"))
"""Bounded by the settings; memory grows with it."""

LIMBO = GaugeDefinition("payments_limbo", "Payments whose outcome is unknown.", ("stage", "shard", "currency"))
LIMBO_MINOR_UNITS = GaugeDefinition(
    "payments_limbo_minor_units", "Money whose outcome is unknown.", ("stage", "shard", "currency")
)
"""Above 0 only where a foreign rail did not answer in time; each one is being asked about."""

# --- keeping it ----------------------------------------------------------------------------------------------------

SNAPSHOT = HistogramDefinition(
    "pipeline_snapshot_seconds", "From flush to published snapshot.", ("stage",), SNAPSHOT_SECONDS
)
SNAPSHOT_FAILURES = CounterDefinition("pipeline_snapshot_failures", "Snapshots not taken.", ("stage", "shard"))
"""Each is tried again.  While they fail money still moves, but a new owner has more to read again, and a log that trims
meanwhile leaves it nothing to start from."""

SNAPSHOT_TIME = GaugeDefinition(
    "pipeline_snapshot_timestamp_seconds", "When the newest snapshot was taken.", ("stage", "shard")
)
"""Alert long before the log's retention."""

TICK_FAILURES = CounterDefinition("pipeline_tick_failures", "Ticks that the log did not take.", ("stage", "shard"))
"""Time stands still in such a shard: deadlines do not pass, and nothing else is wrong with it."""

ALL = tuple(
    definition
    for definition in tuple(globals().values())
    if isinstance(definition, CounterDefinition | GaugeDefinition | HistogramDefinition)
)
