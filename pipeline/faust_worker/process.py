"""The process around a worker: signals, the deadline for stopping, exit codes.

    0  stopped in order after SIGTERM or SIGINT: every batch in hand committed, a snapshot of every shard
    1  a batch raised: nothing of it was committed or acknowledged
    3  could not start, could not go on (log or state), did not stop in time, or stopped without its last snapshots

A step is a plain function, so one that hangs keeps the event loop from running, and no deadline kept by the loop would
ever pass.  Signals are therefore awaited by a thread of their own, which ends the process when the time is over.  That
loses nothing: what was not committed is read again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.faust_worker import interpreter
from pipeline.faust_worker.errors import ShardFailedError
from pipeline.observe.health import ObservationServer
from pipeline.observe.logging import about

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pipeline.faust_worker.worker import Worker
    from pipeline.observe.metrics import Metrics
    from pipeline.settings import Settings

STOPPED = 0
SHARD_FAILED = 1
COULD_NOT_GO_ON = 3

_log = logging.getLogger(__name__)
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def run_process(make: Callable[[], Worker], settings: Settings, metrics: Metrics) -> int:
    """Run the worker that ``make`` returns until a signal stops it; return the process's exit code."""
    return run_to_exit_code(partial(_run, make, settings, metrics))


def run_to_exit_code(main: Callable[[], Coroutine[object, object, None]]) -> int:
    """Run ``main``, say what it raised, and return the exit code for that; signals are left for ``stopped_by``."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        asyncio.run(main())
    except ShardFailedError as error:
        fields = about(stage=error.stage, shard=error.shard_id, position=str(error.position))
        _log.error("%s", error, exc_info=error.__cause__, extra=fields)
        return SHARD_FAILED
    except (PipelineError, OSError) as error:
        _log.error("%s", error, extra=about(error=type(error).__name__))
        return COULD_NOT_GO_ON
    except Exception:  # noqa: BLE001 - the last line of the process says what it was
        _log.exception("the worker cannot go on")
        return COULD_NOT_GO_ON
    return STOPPED


async def _run(make: Callable[[], Worker], settings: Settings, metrics: Metrics) -> None:
    seconds_max = settings.worker.shutdown_seconds_max
    stop = stopped_by_signals(seconds_max)
    worker = make()
    observation = _observe(worker, metrics, settings)
    interpreter.prepare()
    try:
        await run_until(stop, worker)
    finally:
        _in_thread(end_after, seconds_max)
        await worker.close()
        if observation is not None:
            observation.close()


def stopped_by_signals(shutdown_seconds_max: float) -> asyncio.Event:
    """Return an event that is set by SIGTERM and SIGINT, after which the process ends in the stated time."""
    stop = asyncio.Event()
    _in_thread(_await_signal, asyncio.get_running_loop(), stop, shutdown_seconds_max)
    return stop


async def run_until(stop: asyncio.Event, worker: Worker) -> None:
    """Run a worker until it ends by itself or ``stop`` is set."""
    running = asyncio.ensure_future(worker.run())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    worker.stop()
    await running


def _observe(worker: Worker, metrics: Metrics, settings: Settings) -> ObservationServer | None:
    host, port = settings.observe.host, settings.observe.port
    if port == 0:
        return None
    _log.info("metrics and health are at http://%s:%s", host, port)
    return ObservationServer(host, port, metrics.registry, worker.health)


def _await_signal(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, shutdown_seconds_max: float) -> None:
    received = signal.sigwait(_SIGNALS)
    _log.info("stopping on %s", signal.Signals(received).name, extra=about(seconds_max=shutdown_seconds_max))
    loop.call_soon_threadsafe(stop.set)
    end_after(shutdown_seconds_max)


def end_after(seconds: float) -> None:
    """End the process if it is still there then."""
    time.sleep(seconds)
    _log.error("not stopped in %s s; ending here, and what was in hand is repeated", seconds)
    os._exit(COULD_NOT_GO_ON)


def _in_thread(function: Callable[..., None], *arguments: object) -> None:
    Thread(target=function, args=arguments, name=function.__name__, daemon=True).start()
