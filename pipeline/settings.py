"""The settings of a process: parsed once, from the environment or one TOML file, and passed on as values.

A setting stands in a section.  ``tick_ms`` of the section ``worker`` is ``PAYMENTS_WORKER_TICK_MS`` in the environment,
or in the file that ``PAYMENTS_CONFIG`` names::

    [worker]
    tick_ms = 250

The environment wins.  What is unknown, malformed or out of bounds stops the process at once and names the variable: a
limit that was misspelt is a limit that is not there.

Every limit has its unit in its name.  Nothing of this may reach a step: two processes with other settings must read the
same log to the same state (what alters a step belongs to the activated behaviour, ``pipeline.kernel.agent``).
"""

from __future__ import annotations

import tomllib
from dataclasses import field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "PAYMENTS_"
CONFIG_VARIABLE = "PAYMENTS_CONFIG"
XSD_VARIABLE = "PAYMENTS_XSD_DIR"
"""Where ISO's schemas are: ``payments validate`` asks them too.  No process has to do with it."""

_STRICT_SECTION = ConfigDict(extra="forbid")
_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Milliseconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Port = Annotated[int, Field(ge=0, le=65_535)]


class SettingsError(ValueError):
    """A setting is unknown, malformed or out of bounds; the message names the variable."""


@dataclass(frozen=True, slots=True, config=_STRICT_SECTION)
class WorkerSettings:
    """How a worker reads, waits and stops."""

    batch_user_records_max: _Count = 500
    """User records of a batch, more or less: whole records only."""
    batch_interval_ms_min: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Between the starts of two batches of a shard.  With S source shards writing into one that takes 1,000 records a
    second, at least S."""
    poll_ms_min: _Milliseconds = 1.0
    """Between two looks at a shard that was busy just now."""
    poll_ms_max: _Milliseconds = 5.0
    """Between two looks at an idle shard."""
    discover_seconds: _Seconds = 1.0
    """Between two looks for new shards."""
    shards_at_once_max: _Count = 32
    """Shards of a stage whose batches are processed at the same time; more wait for their turn."""
    tick_ms: _Milliseconds = 250.0
    """Between two ticks in each owned shard: how late a deadline may fire in a shard with nothing else to do."""
    snapshot_seconds: _Seconds = 60.0
    """Between two snapshots of a shard."""
    snapshot_retry_seconds: _Seconds = 5.0
    """From a snapshot that failed to its next try."""
    stalled_seconds_max: _Seconds = 60.0
    """Without progress in a shard, which has its ticks at least, until /health says that the worker is not healthy."""
    shutdown_seconds_max: _Seconds = 10.0
    """From SIGTERM to the end of the process, whatever hangs."""

    def __post_init__(self) -> None:
        if self.poll_ms_max < self.poll_ms_min:
            raise ValueError(f"poll_ms_max ({self.poll_ms_max}) is below poll_ms_min ({self.poll_ms_min})")


@dataclass(frozen=True, slots=True, config=_STRICT_SECTION)
class StateSettings:
    """What a worker's state may use, all its shards together."""

    cached_rows_per_table: _Count = 20_000
    """Per shard: rows kept decoded, in each of two generations."""
    block_cache_mib: _Count = 64
    write_buffers_mib: _Count = 256
    background_jobs: _Count = 2
    snapshots_kept: _Count = 3
    """Of each shard, besides its END snapshot."""
    snapshots: str = ""
    """A folder, or s3://BUCKET/PREFIX, that all who may own the same shards share; empty for one below --data."""


@dataclass(frozen=True, slots=True, config=_STRICT_SECTION)
class KinesisSettings:
    """How Kinesis is asked, where it is the log."""

    reads_per_second_max: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0
    """Of one shard.  Kinesis allows 5 to all readers of a shard together; each worker, edge and tool is one."""
    unavailable_seconds_max: _Seconds = 60.0
    """How long a call that may be repeated is tried again before the process ends with what Kinesis said."""


@dataclass(frozen=True, slots=True, config=_STRICT_SECTION)
class KclSettings:
    """How the KCL daemon is run; ``pipeline.kcl_daemon.properties`` says what else it is told."""

    application: str = "payments"
    """With the stage behind it, the name of the lease table.  Workers that share it share the shards."""
    retrieval: Literal["fanout", "polling"] = "fanout"
    """Enhanced fan-out delivers within 70 ms and is paid for by the consumer; kinesis-local only knows polling."""
    fetch_records_max: Annotated[int, Field(ge=1, le=1_000)] = 300
    """Of Kinesis's records, taken to the child at once."""
    failover_ms: Annotated[int, Field(ge=3_000)] = 3_000
    """Without a sign of life until others take a worker's shards, more or less: two thirds to four thirds of it.  A
    daemon that stands still for a third of it loses its leases.  Each shard writes to DynamoDB ten times in it."""
    shards_max: _Count = 8
    """Of one stage in this worker.  A child that dies takes all of them down for some seconds."""
    shard_restarts_max: Annotated[int, Field(ge=0)] = 3
    """Of one shard in its process, from its last commit, without progress; then the process ends."""
    java: str = "java"
    jars: str = ""
    """The folder of KCL's jars; empty where make has put them, or in an installed amazon-kclpy."""
    heap_mib: Annotated[int, Field(ge=64)] = 512

    @property
    def grace_ms(self) -> int:
        """From SIGTERM to the daemon's end: it waits until its leases have run out, and its children meanwhile."""
        return self.failover_ms + 3_000


@dataclass(frozen=True, slots=True, config=_STRICT_SECTION)
class GatewaySettings:
    """What the gateway takes from its clients, and when it takes no more."""

    body_bytes_max: _Count = 65_536
    """Of one request."""
    waiting_max: _Count = 2_000
    """Payments that wait for their batch.  One more is refused with 503."""
    waiting_seconds_max: _Seconds = 2.0
    """A payment that is in no batch for so long is refused with 503; so is a new one while a batch takes longer."""
    batch_max: _Count = 500
    """Payments that are claimed in one transaction and put with one call."""
    retry_after_seconds: _Count = 1
    """What a refused client is told to wait at least."""
    outcome_seconds_max: _Seconds = 20.0
    """How long a client may have its answer wait for the payment's outcome."""
    outcome_poll_ms: _Milliseconds = 50.0
    """Between two looks for outcomes that are waited for."""


@dataclass(frozen=True, slots=True, config=_STRICT_SECTION)
class ObserveSettings:
    """Where a process can be looked at."""

    host: str = "127.0.0.1"
    port: _Port = 0
    """Of /metrics and /health; 0 is off."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True, config=_STRICT_SECTION)
class Settings:
    """All settings, by section."""

    worker: WorkerSettings = field(default_factory=WorkerSettings)
    state: StateSettings = field(default_factory=StateSettings)
    kinesis: KinesisSettings = field(default_factory=KinesisSettings)
    kcl: KclSettings = field(default_factory=KclSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    observe: ObserveSettings = field(default_factory=ObserveSettings)


_adapter = TypeAdapter(Settings)
_SECTIONS = {
    "worker": tuple(f.name for f in fields(WorkerSettings)),
    "state": tuple(f.name for f in fields(StateSettings)),
    "kinesis": tuple(f.name for f in fields(KinesisSettings)),
    "kcl": tuple(f.name for f in fields(KclSettings)),
    "gateway": tuple(f.name for f in fields(GatewaySettings)),
    "observe": tuple(f.name for f in fields(ObserveSettings)),
}
_VARIABLES = {
    f"{PREFIX}{section}_{name}".upper(): (section, name) for section, names in _SECTIONS.items() for name in names
}


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in ``environment`` and in the file that it names; raise ``SettingsError``."""
    values = _from_file(environment.get(CONFIG_VARIABLE))
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in {CONFIG_VARIABLE, XSD_VARIABLE}:
            continue
        if variable not in _VARIABLES:
            raise SettingsError(f"{variable} is no setting{_meant(variable, _VARIABLES)}")
        section, name = _VARIABLES[variable]
        values.setdefault(section, {})[name] = text
    try:
        return _adapter.validate_python(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(fault["loc"], fault["msg"]) for fault in error.errors())) from error


def _from_file(name: str | None) -> dict[str, dict[str, object]]:
    if name is None:
        return {}
    try:
        content = tomllib.loads(Path(name).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{CONFIG_VARIABLE} names {name}, which cannot be read: {error}") from error
    for section, values in content.items():
        if section not in _SECTIONS or not isinstance(values, dict):
            raise SettingsError(f"{name}: [{section}] is no section{_meant(section, _SECTIONS)}")
        for key in values:
            if key not in _SECTIONS[section]:
                raise SettingsError(f"{name}: {key} in [{section}] is no setting{_meant(key, _SECTIONS[section])}")
    return content


def _explain(place: tuple[str | int, ...], message: str) -> str:
    name = "_".join(str(part) for part in place)
    return f"{PREFIX}{name.upper()}: {message.removeprefix('Value error, ')}"


def _meant(given: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    close = get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(sorted(known))}"
