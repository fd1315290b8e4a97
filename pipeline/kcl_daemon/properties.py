"""What KCL is told, and why; every figure was measured with KCL 3.1.3.

The file has one ``name = value`` a line.  ``executableName`` is a whole command line that KCL splits at white space,
so nothing in it may have any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.kcl_daemon.errors import DaemonSetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.settings import KclSettings

SHARD_SYNC_MS = 5_000
PARENT_POLL_MS = 1_000
INITIALIZATION_BACKOFF_MS = 200
IDLE_MS_MIN = 200
"""Kinesis allows five reads of a shard a second."""


@dataclass(frozen=True, slots=True)
class DaemonPlan:
    """What one daemon is to do."""

    application: str
    """Names the lease table: who shares it shares the shards."""
    stream: str
    region: str
    worker: str
    """The owner of leases.  A daemon that is started anew under the same name has its own leases at once."""
    child: Sequence[str]
    """The command line of a shard's process."""
    kinesis_endpoint: str | None
    """None for AWS."""
    dynamodb_endpoint: str | None


def render(plan: DaemonPlan, settings: KclSettings) -> str:
    """Return the daemon's properties file."""
    lines = [f"{name} = {value}" for name, value in _properties(plan, settings).items()]
    return "\n".join(lines) + "\n"


def _properties(plan: DaemonPlan, settings: KclSettings) -> dict[str, object]:
    properties: dict[str, object] = {
        "executableName": _command_line(plan.child),
        "processingLanguage": "python",  # said to AWS as the user agent, and nothing else
        "applicationName": plan.application,
        "streamName": plan.stream,
        "regionName": plan.region,
        "workerId": plan.worker,
        "AwsCredentialsProvider": "DefaultCredentialsProvider",  # the same chain as boto3's
        # A shard that nobody has read begins with its first record, or payments are lost that came before the worker.
        "initialPositionInStream": "TRIM_HORIZON",
        "retrievalMode": settings.retrieval.upper(),
        # Of Kinesis's records, each of them up to 1 MiB of user records that go to the child as one line of JSON:
        # with 10,000 a backlog makes lines of 80 MB, and the JVM runs out of memory again and again.
        "maxRecords": settings.fetch_records_max,
        "idleTimeBetweenReadsInMillis": IDLE_MS_MIN,
        # Who renewed no lease for so long has lost it.  But KCL looks only every twice as long, and sees at its second
        # look that nothing has moved since the first: a third of ours makes it 2 to 4 s for 3,000.
        "failoverTimeMillis": settings.failover_ms // 3,
        # 0 by default: the daemon would be gone before its children had heard of it.
        "shutdownGraceMillis": settings.grace_ms,
        "maxLeasesForWorker": settings.shards_max,
        # Children of a split or merge begin when their parents' end was noticed.
        "shardSyncIntervalMillis": SHARD_SYNC_MS,
        "parentShardPollIntervalMillis": PARENT_POLL_MS,
        "schedulerInitializationBackoffTimeMillis": INITIALIZATION_BACKOFF_MS,
        # A checkpoint is a position that was delivered; asking Kinesis whether it is one costs a read.
        "validateSequenceNumberBeforeCheckpointing": "false",
        # What a shard does is told by its worker's own metrics; CloudWatch's cost money for every shard.
        "metricsLevel": "NONE",
    }
    if plan.kinesis_endpoint is not None:
        properties["kinesisEndpoint"] = plan.kinesis_endpoint
    if plan.dynamodb_endpoint is not None:
        properties["dynamoDBEndpoint"] = plan.dynamodb_endpoint
    return properties


def _command_line(words: Sequence[str]) -> str:
    for word in words:
        if not word or word.split() != [word]:
            raise DaemonSetupError(
                f"KCL splits the command line of a shard's process at white space, and there is some in {word!r}: "
                "install, and keep data, where the path has none"
            )
    return " ".join(words)
