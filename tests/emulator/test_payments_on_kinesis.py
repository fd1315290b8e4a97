"""The product on Kinesis: real processes, payments from submission to settlement, and a replay from the stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.streams import ALL_STREAMS, CONTROL
from agents.topology import AUTHORISE, SETTLE
from agents.topology import CONTROL as CONTROL_STAGE
from demo.fleet import Fleet, Member
from pipeline.ports import Log
from pipeline.state.snapshots import FolderSnapshots
from pipeline.stream_logs.kinesis import KinesisLog
from pipeline.system_clock import SystemClock
from replay.verify import ShardVerdict, verify_stage
from tests.e2e.audit import Audit, audit_log, orders_of
from tests.emulator import kinesis_local
from tests.emulator.kinesis_under_test import HURRIED

pytestmark = [pytest.mark.emulator, pytest.mark.e2e]

SEED, COUNT, SHARDS = 1, 24, 2
SECONDS_MAX = 90.0
WORKERS = {"authorise": (CONTROL_STAGE, AUTHORISE), "settle": (SETTLE,)}


class Scene:
    """Workers, participants and a generator, each a process, on streams of an account of its own."""

    def __init__(self, folder: Path) -> None:
        emulator = kinesis_local.running()
        account = kinesis_local.new_account()
        self._folder = folder
        self._environment = emulator.environment(account)
        self._environment["PAYMENTS_KINESIS_READS_PER_SECOND_MAX"] = "10"
        self._runner = asyncio.Runner()
        self.log = KinesisLog(emulator.client(account), SystemClock(), "kinesis:test", HURRIED)
        self._runner.run(create_streams(self.log))
        self.fleet = Fleet(
            [
                *(self._worker(name) for name in WORKERS),
                self._edge("links"),
                self._edge("generator", "--count", str(COUNT), "--tps", "8", "--cycle-seconds", "5"),
            ]
        )

    def run(self) -> Audit:
        """Run until every payment has ended, and stop every process in order."""
        self.fleet.start()
        until = time.monotonic() + SECONDS_MAX
        orders = orders_of(SEED, COUNT)
        while True:
            self.fleet.look_after()
            found = self._runner.run(audit_log(self.log))
            if not found.never_submitted(orders) and not found.not_ended_once():
                break
            assert time.monotonic() < until, (found.never_submitted(orders), found.not_ended_once())
            time.sleep(0.2)
        for member in reversed(self.fleet.members):
            assert self.fleet.stop(member), member.last_words()
        return self._runner.run(audit_log(self.log))

    def verify(self) -> list[ShardVerdict]:
        """Replay every stage from its stream, and compare with what the workers left."""
        return self._runner.run(self._verify())

    def close(self) -> None:
        self.fleet.kill_all()
        self.log.close()
        self._runner.close()

    async def _verify(self) -> list[ShardVerdict]:
        verdicts: list[ShardVerdict] = []
        for worker, stages in WORKERS.items():
            snapshots = FolderSnapshots(self._folder / worker / "snapshots")
            for stage in stages:
                shards = await self.log.shards(stage.source_stream)
                live = [(await snapshots.manifests(stage.name, shard.shard_id))[0] for shard in shards]
                verdicts += await verify_stage(stage, self.log, live)
        return verdicts

    def _worker(self, name: str) -> Member:
        stages = [argument for stage in WORKERS[name] for argument in ("--stage", stage.name)]
        return self._member(name, "agents.cli", "worker", *stages)

    def _edge(self, name: str, *arguments: str) -> Member:
        return self._member(name, f"agents.edge.{name}", "--seed", str(SEED), *arguments)

    def _member(self, name: str, *arguments: str) -> Member:
        data = self._folder / name
        where = ("--log", f"kinesis:{kinesis_local.REGION}", "--data", str(data))
        log_file = self._folder / f"{name}.log"
        return Member(name, (*arguments, *where), log_file, name == "generator", self._environment)


async def create_streams(log: Log) -> None:
    await asyncio.gather(*(log.create_stream(stream, 1 if stream == CONTROL else SHARDS) for stream in ALL_STREAMS))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_payments_settle_once_and_a_replay_of_the_streams_equals_what_was_live(scene: Scene) -> None:
    found = scene.run()

    assert found.settled_twice() == []
    assert found.not_ended_once() == {}
    assert len(found.settled()) >= COUNT // 2
    verdicts = scene.verify()
    assert [verdict for verdict in verdicts if not verdict.equal] == []
    assert len(verdicts) == 1 + 2 * SHARDS
    assert sum(verdict.records for verdict in verdicts) > COUNT
