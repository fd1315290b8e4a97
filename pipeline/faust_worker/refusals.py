"""What of Faust must not be used here, because it loses records or answers nobody, and what to use instead.

All of it fails when it is called or defined, naming the other way: never later, never silently.

    group_by, through, echo, topic.send, sinks   commit the input without knowing that the output was stored
    take, noack and their like                   acknowledge what was not processed
    ask, cast and their like                     wait for replies on topics that do not exist
    tables, joins                                keep state that is not committed together with the position
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pipeline.faust_worker.errors import RefusedFeatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EMIT = "emit from a step: ctx.emit(stream, key, event)"
_BATCHES = "each event is a whole batch already, and is acknowledged when it was committed"
_ANSWERS = "answers are events: ctx.emit to a stream that the asker reads"
_STATE = "keep state in a kernel table, which is committed with the position: pipeline.kernel.tables"
_JOIN = "bring both sides to one shard as events under one key"

OF_STREAMS: Mapping[str, str] = {
    "group_by": _EMIT,
    "through": _EMIT,
    "echo": _EMIT,
    "take": _BATCHES,
    "take_events": _BATCHES,
    "take_with_timestamp": _BATCHES,
    "noack_take": _BATCHES,
    "noack": _BATCHES,
    "join": _JOIN,
    "left_join": _JOIN,
    "inner_join": _JOIN,
    "outer_join": _JOIN,
    "combine": _JOIN,
}
OF_AGENTS: Mapping[str, str] = {
    "ask": _ANSWERS,
    "ask_nowait": _ANSWERS,
    "cast": _ANSWERS,
    "send": _ANSWERS,
    "map": _ANSWERS,
    "kvmap": _ANSWERS,
    "join": _ANSWERS,
    "kvjoin": _ANSWERS,
    "add_sink": _EMIT,
}
OF_TOPICS: Mapping[str, str] = {"send": _EMIT, "send_soon": _EMIT, "publish_message": _EMIT}
OF_PRODUCERS: Mapping[str, str] = {
    "send": _EMIT,
    "send_soon": _EMIT,
    "send_and_wait": _EMIT,
    "create_topic": "streams are made by the log: log.create_stream",
}
OF_APPS: Mapping[str, str] = {
    "send": _EMIT,
    "Table": _STATE,
    "GlobalTable": _STATE,
    "SetTable": _STATE,
    "SetGlobalTable": _STATE,
    "LiveCheck": "the auditor checks what a run did, and replay proves it",
}


def refuse(owner: str, feature: str, instead: str) -> Callable[..., NoReturn]:
    """Return a method that raises ``RefusedFeatureError``."""

    def refused(*_arguments: object, **_options: object) -> NoReturn:
        raise RefusedFeatureError(f"{owner}.{feature} of Faust is refused here; instead: {instead}")

    refused.__name__ = feature
    refused.__doc__ = f"Refused; instead: {instead}."
    return refused


def refusals(owner: str, features: Mapping[str, str]) -> Mapping[str, Callable[..., NoReturn]]:
    """Return a refusing method for each of ``features``, to be put into a class."""
    return {feature: refuse(owner, feature, instead) for feature, instead in features.items()}


def refusing(owner: str, features: Mapping[str, str]) -> Callable[[type], type]:
    """Decorate a class so that it refuses ``features``."""

    def decorate(decorated: type) -> type:
        for name, method in refusals(owner, features).items():
            setattr(decorated, name, method)
        return decorated

    return decorate
