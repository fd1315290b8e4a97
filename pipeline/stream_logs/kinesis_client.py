"""Where Kinesis is, how it is called, and what its errors mean.

The endpoint is AWS's, unless AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL or LOCALSTACK_HOST says otherwise, by the
conventions of boto3 and of localstack-client.  Credentials come by boto3's usual chain: the environment, the profile,
the role of the machine.

botocore retries nothing here.  It cannot know what may be repeated, would wait where others wait for it, and would tell
nobody; so each failure comes back as what it means, and whoever called decides:

    NotNowError             throttled, overloaded, unreachable, no answer: try again; a put may have been stored
    ExpiredIteratorError    make another iterator
    NotThereError           no such stream, shard or record
    NotValidError           Kinesis knows what is asked for, and says that it cannot be
    LogError                anything else - no credentials, no permission - which trying again does not mend

Calls block, so they run in threads; one client serves them all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError
from localstack_client import config as localstack

from pipeline.errors import LogError
from pipeline.stream_logs.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipeline.ports import Clock

THREADS_MAX = 32
"""Calls of one process at the same time; more wait for a thread."""
CONNECT_SECONDS_MAX = 5
ANSWER_SECONDS_MAX = 15
"""For an answer to begin or to go on; then nobody knows what became of the call."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")
_THROTTLED = frozenset(
    {
        "KMSThrottlingException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
    }
)
_BUSY = frozenset({"ResourceInUseException"})
_SERVER_ERROR = 500
_UNANSWERED = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError, ResponseParserError)
_US_PER_SECOND = 1_000_000

_log = logging.getLogger(__name__)


class NotNowError(Exception):
    """The call was turned away, or its answer was lost: nobody knows whether it was done."""

    def __init__(self, reason: str, *, in_use: bool = False) -> None:
        super().__init__(reason)
        self.in_use = in_use
        """True when what was to be made is there, or is being changed."""


class ExpiredIteratorError(Exception):
    """A shard iterator is older than five minutes."""


class NotThereError(LogError):
    """What the call names does not exist."""


class NotValidError(LogError):
    """What the call asks for cannot be."""


def endpoint_url(service: str = "kinesis") -> str | None:
    """Return where a service is instead of at AWS; None for AWS, and where boto3 looks by itself."""
    if os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}"):
        return None
    if not (os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("LOCALSTACK_HOST")):
        return None
    try:
        url: str | None = localstack.get_service_endpoint(service)
    except RuntimeError as error:
        raise LogError(f"LOCALSTACK_HOST is not HOST or HOST:PORT: {error}") from error
    return url


def is_redirected(service: str) -> bool:
    """Say whether a service is called somewhere else than at AWS."""
    names = f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL", "LOCALSTACK_HOST"
    return any(os.environ.get(name) for name in names)


def check_region(region: str) -> None:
    """Raise ``LogError`` unless ``region`` looks like the name of a region."""
    if not _REGION.fullmatch(region):
        raise LogError(f"{region!r} is no AWS region; a log on Kinesis is named kinesis:REGION, as kinesis:eu-west-1")


def connect(region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' types at run time
    """Return a client of Kinesis in ``region``; ``LogError`` says what is missing."""
    check_region(region)
    return connect_to("kinesis", region, config())


def connect_to(service: str, region: str | None, config: Config | None = None) -> Any:  # noqa: ANN401 - see connect
    """Return a client of a service, where boto3 finds no region in the one named; ``LogError`` says what is missing."""
    where = f"{service}:{region}"
    try:
        session = boto3.session.Session(region_name=region)
        if session.get_credentials() is None:
            raise LogError(
                f"{where}: no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (an "
                "emulator takes any), or AWS_PROFILE, or run where a role is attached"
            )
        return session.client(service, endpoint_url=endpoint_url(service), config=config)
    except (boto.BotoCoreError, ValueError) as error:
        raise LogError(f"{where} cannot be called: {error}") from error


def config() -> Config:
    """Return how a client of Kinesis calls."""
    return Config(
        connect_timeout=CONNECT_SECONDS_MAX,
        read_timeout=ANSWER_SECONDS_MAX,
        max_pool_connections=THREADS_MAX,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
    )


class KinesisCalls:
    """Calls of one client, each in a thread."""

    def __init__(self, client: Any, clock: Clock, unavailable_seconds_max: float) -> None:  # noqa: ANN401 - see connect
        """Give up with ``insist`` when Kinesis has not answered for ``unavailable_seconds_max``."""
        self._client = client
        self._clock = clock
        self._seconds_max = unavailable_seconds_max
        self._executor = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="kinesis")

    async def once(self, operation: str, **parameters: object) -> dict[str, Any]:
        """Return the answer to one call, or raise one of the errors above."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._call, operation, parameters)

    async def insist(self, operation: str, **parameters: object) -> dict[str, Any]:
        """Return the answer to a call that may be repeated, however often it takes, within a stated time."""
        wait = self.patience(operation)
        while True:
            try:
                return await self.once(operation, **parameters)
            except NotNowError as error:
                await wait(error)

    def patience(self, operation: str) -> Callable[[NotNowError], Awaitable[None]]:
        """Return a function that waits after each failed try, or raises ``LogError`` when it has been too long."""
        backoff = Backoff()
        until_us = self._clock.now_us() + round(self._seconds_max * _US_PER_SECOND)

        async def wait(error: NotNowError) -> None:
            if self._clock.now_us() >= until_us:
                raise LogError(
                    f"Kinesis has not done {operation} for {self._seconds_max:.0f} s, tried {backoff.failures + 1} "
                    f"times: {error}"
                ) from error
            seconds = backoff.failed()
            _log.log(
                logging.WARNING if backoff.failures > 1 else logging.INFO,
                "Kinesis did not do %s, try %d follows in %.2f s: %s",
                operation,
                backoff.failures + 1,
                seconds,
                error,
            )
            await self._clock.sleep(seconds)

        return wait

    def close(self) -> None:
        """Finish the calls in hand."""
        self._executor.shutdown()
        self._client.close()

    def _call(self, operation: str, parameters: dict[str, object]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except boto.ClientError as error:
            raise _meaning(error, operation) from error
        except _UNANSWERED as error:
            raise NotNowError(f"{operation}: {error}") from error
        except boto.BotoCoreError as error:
            raise LogError(f"Kinesis cannot be asked for {operation}: {error}") from error
        return answer


def _meaning(error: boto.ClientError, operation: str) -> Exception:
    """Return what an answer that is an error means."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = f"{operation}: {error}"
    if code in _THROTTLED or status >= _SERVER_ERROR:
        return NotNowError(said)
    if code in _BUSY:
        return NotNowError(said, in_use=True)
    if code == "ExpiredIteratorException":
        return ExpiredIteratorError(said)
    if code == "ResourceNotFoundException":
        return NotThereError(said)
    if code == "InvalidArgumentException":
        return NotValidError(said)
    return LogError(f"Kinesis refused {operation}: {error}")
