"""Everything of Faust 0.15.3 that the worker touches, plugs into or replaces: a change of it is noticed by name.

Faust has no public way to plug in a transport's streams and tables; ``pyproject.toml`` pins it exactly.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version

import pytest

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1"}

TOUCHED = [
    ("faust.app.base", "App.BootStrategy"),
    ("faust.app.base", "App.agent"),
    ("faust.app.base", "App.consumer"),
    ("faust.app.base", "App.create_event"),
    ("faust.app.base", "App.flow_control"),
    ("faust.app.base", "App.on_first_start"),
    ("faust.app.base", "App.topic"),
    ("faust.app.base", "App.topics"),
    ("faust.app.base", "BootStrategy.server"),
    ("faust.agents.agent", "Agent.__init__"),
    ("faust.channels", "Channel.__anext__"),
    ("faust.events", "Event.ack"),
    ("faust.serializers.schemas", "Schema.compile"),
    ("faust.streams", "Stream.__aiter__"),
    ("faust.streams", "Stream._channel_stop_iteration"),
    ("faust.streams", "Stream._finalized"),
    ("faust.streams", "Stream.maybe_start"),
    ("faust.streams", "Stream.service_reset"),
    ("faust.streams", "Stream.should_stop"),
    ("faust.transport.base", "Transport.Consumer"),
    ("faust.transport.base", "Transport.Producer"),
    ("faust.transport.conductor", "Conductor.on_partitions_assigned"),
    ("faust.transport.drivers", "TRANSPORTS.aliases"),
    ("faust.transport.producer", "Producer.flush"),
    ("faust.types", "ConsumerMessage.on_final_ack"),
    ("faust.types.tables", "TableManagerT.wait_until_recovery_completed"),
    ("faust.types.tables", "TableManagerT.wait_until_tables_registered"),
    ("mode.supervisors", "SupervisorStrategy.restart_services"),
    ("mode", "Service.add_future"),
]

CALLED = [
    ("faust.transport.conductor", "Conductor._subscriber", "consumer.subscribe("),
    ("faust.transport.conductor", "Conductor._subscriber", "wait_until_tables_registered("),
    ("faust.app.base", "App.on_started", "_wait_for_table_recovery_completed("),
    ("faust.app.base", "App._new_consumer", "callback=self.topics.on_message"),
    ("faust.agents.agent", "Agent._execute_actor", "self.supervisor.wakeup()"),
    ("faust.agents.actor", "Actor.cancel", "_throw(StopAsyncIteration())"),
    ("faust.streams", "Stream.on_stop", "self._active_agens"),
    ("faust.streams", "Stream.__init__", "self._active_agens"),
    ("faust.types.tuples", "ConsumerMessage.on_final_ack", "consumer.ack(self)"),
]

SETTINGS = [
    "Agent",
    "Schema",
    "Stream",
    "TableManager",
    "Topic",
    "agent_supervisor",
    "autodiscover",
    "broker",
    "reply_create_topic",
    "store",
    "stream_wait_empty",
    "topic_allow_declare",
    "topic_disable_leader",
    "web_enabled",
]


def find(module: str, path: str) -> object:
    found: object = import_module(module)
    for name in path.split("."):
        assert hasattr(found, name), f"{module}.{path} is gone: the worker touches it"
        found = inspect.getattr_static(found, name) if inspect.isclass(found) else getattr(found, name)
    return found


@pytest.mark.parametrize("distribution", PINNED)
def test_faust_is_the_version_whose_private_names_were_looked_at(distribution: str) -> None:
    assert version(distribution) == PINNED[distribution]


@pytest.mark.parametrize(("module", "path"), TOUCHED)
def test_what_the_worker_touches_is_there(module: str, path: str) -> None:
    find(module, path)


@pytest.mark.parametrize(("module", "path", "words"), CALLED)
def test_what_the_worker_relies_on_faust_to_do_is_still_done(module: str, path: str, words: str) -> None:
    found = find(module, path)
    source = inspect.getsource(getattr(found, "fun", found))  # type: ignore[arg-type]
    assert words in source, f"{module}.{path} no longer does {words!r}: the worker relies on it"


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_settings_by_which_faust_is_given_our_classes_are_there(setting: str) -> None:
    settings = import_module("faust.types.settings").Settings
    assert setting in settings.SETTINGS, f"faust has no setting {setting} any more"
