"""A client of boto3 whose calls go wrong as calls to Kinesis do, when a test says so.

    client.next("put_records", unanswered, throttled)       the next put is stored without an answer, the one behind it
                                                            is turned away, and from then on all is well

A *fate* gets the call - to make or not, with other parameters or the same - and what it was called with; it returns the
answer, or raises as boto3 does.
Everything else goes through to the emulator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

Answer = dict[str, Any]
Call = Callable[..., Answer]
Fate = Callable[[Call, Answer], Answer]

THROTTLED = "ProvisionedThroughputExceededException"


class FaultyClient:
    """A client between a log and the emulator."""

    def __init__(self, client: Any) -> None:
        self.real = client
        self.calls: list[tuple[str, Answer]] = []
        """What was asked, in order."""
        self._fates: dict[str, list[Fate]] = {}
        self._always: dict[str, Fate] = {}

    def next(self, operation: str, *fates: Fate) -> None:
        """Let the next calls of ``operation`` meet these fates, one by one."""
        self._fates.setdefault(operation, []).extend(fates)

    def always(self, operation: str, fate: Fate) -> None:
        """Let every call of ``operation`` for which nothing else was said meet this fate."""
        self._always[operation] = fate

    def asked(self, operation: str) -> list[Answer]:
        """Return what the calls of ``operation`` were called with."""
        return [parameters for called, parameters in self.calls if called == operation]

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Answer:
            self.calls.append((operation, parameters))
            waiting = self._fates.get(operation)
            fate = waiting.pop(0) if waiting else self._always.get(operation, well)
            return fate(lambda **others: getattr(self.real, operation)(**{**parameters, **others}), parameters)

        return getattr(self.real, operation) if operation == "close" else call


def well(call: Call, parameters: Answer) -> Answer:
    return call()


def throttled(call: Call, parameters: Answer) -> Answer:
    raise error(THROTTLED, 400)


def overloaded(call: Call, parameters: Answer) -> Answer:
    raise error("InternalFailure", 500)


def denied(call: Call, parameters: Answer) -> Answer:
    raise error("AccessDeniedException", 400)


def expired(call: Call, parameters: Answer) -> Answer:
    raise error("ExpiredIteratorException", 400)


def unreachable(call: Call, parameters: Answer) -> Answer:
    raise EndpointConnectionError(endpoint_url="https://kinesis")


def unanswered(call: Call, parameters: Answer) -> Answer:
    """It is done, and the answer is lost."""
    call()
    raise ReadTimeoutError(endpoint_url="https://kinesis")


def nothing_yet(call: Call, parameters: Answer) -> Answer:
    """No records in this answer, and some behind it."""
    return {"Records": [], "NextShardIterator": parameters["ShardIterator"], "MillisBehindLatest": 5_000}


def refusing(*places: int) -> Fate:
    """Refuse the entries at ``places`` of a put, and store the others."""

    def put(call: Call, parameters: Answer) -> Answer:
        records = list(enumerate(parameters["Records"]))
        stored = [record for place, record in records if place not in places]
        answers = iter(call(Records=stored)["Records"] if stored else [])
        refused = {"ErrorCode": THROTTLED, "ErrorMessage": "Rate exceeded for shard"}
        return {"Records": [refused if place in places else next(answers) for place, _ in records]}

    return put


def error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")
