"""The product on Kinesis, as a test sees it: real processes, payments from submission to settlement, the audit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agents.edge.workload import control
from agents.streams import ALL_STREAMS, CONTROL
from agents.topology import AUTHORISE, SETTLE
from agents.topology import CONTROL as CONTROL_STAGE
from chaos.auditor.audit import problems_of_recording
from chaos.auditor.participants import Participants
from demo.fleet import Fleet, Member
from demo.lag import ask, free_port
from demo.participants import Ends
from demo.stack.fault_proxy import Rates
from demo.stack.orders import orders_of
from demo.stack.proxy import Proxy
from demo.stack.recording import LogRecording
from pipeline.kernel.agent import Stage
from pipeline.ports import Log, ShardDescription
from pipeline.state.snapshots import FolderSnapshots
from pipeline.stream_logs.kinesis import KinesisLog
from pipeline.system_clock import SystemClock
from replay.verify import ShardVerdict, verify_stage
from tests.e2e import audit
from tests.e2e.audit import Audit, audit_log
from tests.emulator import kinesis_local
from tests.emulator.kinesis_under_test import HURRIED

SEED, SHARDS = 1, 2
STAGES = (CONTROL_STAGE, AUTHORISE, SETTLE)
SECONDS_MAX = 300.0
CYCLE_SECONDS = 10
"""Longer than the workers take to stop: a cut-off in between would leave news behind somebody's last snapshot."""
_LOOK_SECONDS = 1.0


class Scene:
    """Workers, participants and a generator, each a process, on streams of an account of its own.

    ``workers`` says which stages each worker runs.  All of them keep their snapshots in one place.  With ``faults`` all
    processes but KCL's daemons come to Kinesis through a proxy that has them.
    """

    def __init__(
        self,
        folder: Path,
        log_name: str,
        workers: Mapping[str, Sequence[Stage]],
        count: int,
        settings: Callable[[kinesis_local.KinesisLocal, str], Mapping[str, str]],
        faults: Rates | None = None,
    ) -> None:
        emulator = kinesis_local.running()
        account = kinesis_local.new_account()
        self.count = count
        self._folder = folder
        self._log_name = log_name
        self.ports: dict[str, int] = {}
        """Where each worker tells its health."""
        self._environment = {
            "PAYMENTS_KINESIS_READS_PER_SECOND_MAX": "10",
            **settings(emulator, account),
            "PAYMENTS_STATE_SNAPSHOTS": str(folder / "snapshots"),
        }
        self._runner = asyncio.Runner()
        self.proxy = None if faults is None else self._put_between(emulator.port, faults)
        self.log = KinesisLog(emulator.client(account), SystemClock(), "kinesis:test", HURRIED)
        self._runner.run(create_streams(self.log))
        seed, ends = ("--seed", str(SEED)), Ends.in_folder(folder)
        self.fleet = Fleet(
            [
                *(self._worker(name, stages) for name, stages in workers.items()),
                self._process("participants", "agents.cli", "participants", *seed, *ends.participants_options),
                self._edge("links", *ends.links_options),
                self._edge(
                    "generator", *seed, "--count", str(count), "--tps", "8", "--cycle-seconds", str(CYCLE_SECONDS)
                ),
            ]
        )

    def run(self, *disturbances: Callable[[Scene], None]) -> Audit:
        """Run until every payment has ended, every cycle is netted and every shard read; stop all processes in order.

        What disturbs comes meanwhile.
        """
        self.fleet.start()
        until = time.monotonic() + SECONDS_MAX
        waiting = list(disturbances)
        orders = audit.orders_of(SEED, self.count)
        while True:
            self.fleet.look_after()
            found = self._runner.run(audit_log(self.log))
            if waiting and len(found.outcomes) > (len(disturbances) - len(waiting)) * 10:
                waiting.pop(0)(self)
            else:
                left = found.never_submitted(orders) or found.not_ended_once() or self._runner.run(self._problems())
                if not waiting and not left:
                    break
                assert time.monotonic() < until, (waiting, left)
            time.sleep(_LOOK_SECONDS)
        ends = self._runner.run(self._ends())
        self.wait_until(lambda: self._is_read_to(ends), f"nobody comes to the ends of {sorted(ends)}")
        for member in reversed(self.fleet.members):
            assert self.fleet.stop(member), member.last_words()
        return self._runner.run(audit_log(self.log))

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Return once it holds; nobody who ended is started again meanwhile."""
        until = time.monotonic() + SECONDS_MAX
        while not holds():
            assert time.monotonic() < until, what
            time.sleep(_LOOK_SECONDS / 4)

    def owned_by(self, worker: str) -> set[tuple[str, str]]:
        """Return (stage, shard) of all that a worker owns and has the state of, as it says itself."""
        return {(shard.stage, shard.shard) for shard in ask(self.ports[worker])}

    def split(self, stream: str, shard_id: str) -> None:
        """Split a shard in its middle."""
        shard = self._shard(stream, shard_id)
        self._runner.run(self.log.split(stream, shard_id, (shard.hash_range.first + shard.hash_range.last) // 2))

    def merge(self, stream: str, shard_id: str, other: str) -> None:
        """Merge two neighbours, the lower first."""
        self._runner.run(self.log.merge(stream, shard_id, other))

    def audited(self, found: Audit) -> list[ShardVerdict]:
        """Hold against ``found`` what must be so whatever happened; return the verdicts of the replay.

        Every payment ended once, the auditor goes through every order and posting and finds nothing wrong, and a replay
        of every shard of every stage gives the live chain heads and states.
        """
        assert found.settled_twice() == []
        assert found.not_ended_once() == {}
        assert len(found.settled()) >= self.count // 4
        assert self._runner.run(self._problems()) == []
        verdicts = self.verify()
        assert [verdict for verdict in verdicts if not verdict.equal] == []
        return verdicts

    def verify(self) -> list[ShardVerdict]:
        """Replay every stage from its stream, and compare with what the workers left."""
        return self._runner.run(self._verify())

    def close(self) -> None:
        self.fleet.kill_all()
        if self.proxy is not None:
            self.proxy.member.kill()
        self.log.close()
        self._runner.close()

    def _is_read_to(self, ends: Mapping[tuple[str, str], int]) -> bool:
        shards = [shard for port in self.ports.values() for shard in ask(port)]
        read = {(shard.stage, shard.shard): shard.read_to for shard in shards}
        return all(shard in read and read[shard] >= end for shard, end in ends.items())

    async def _ends(self) -> dict[tuple[str, str], int]:
        """Return how far each open shard of every stage goes, by stage and shard."""
        return {
            (stage.name, shard.shard_id): await self.log.latest(stage.source_stream, shard.shard_id)
            for stage in STAGES
            for shard in await self.log.shards(stage.source_stream)
            if not shard.closed
        }

    async def _problems(self) -> list[str]:
        """Return what the auditor finds in all that was recorded."""
        recording, participants = LogRecording(), Participants.of(control.listings())
        await recording.take(self.log, ALL_STREAMS)
        ordered = orders_of(recording, SEED, self.count, self._folder / "participants", participants)
        orders = ordered.orders
        problems = problems_of_recording(recording, orders, list(orders), ordered.garbage, participants)
        return [str(problem) for problem in (*ordered.problems, *problems)]

    async def _verify(self) -> list[ShardVerdict]:
        snapshots = FolderSnapshots(self._folder / "snapshots")
        verdicts: list[ShardVerdict] = []
        for stage in STAGES:
            shards = await self.log.shards(stage.source_stream)
            live = [(await snapshots.manifests(stage.name, shard.shard_id))[0] for shard in shards]
            verdicts += await verify_stage(stage, self.log, live)
        return verdicts

    def _shard(self, stream: str, shard_id: str) -> ShardDescription:
        return next(shard for shard in self._runner.run(self.log.shards(stream)) if shard.shard_id == shard_id)

    def _put_between(self, port: int, faults: Rates) -> Proxy:
        proxy = Proxy(self._folder, port, faults, SEED)
        proxy.member.start()
        self._runner.run(proxy.until_ready(SystemClock()))
        self._environment["AWS_ENDPOINT_URL_KINESIS"] = f"http://127.0.0.1:{proxy.port}"
        return proxy

    def _worker(self, name: str, stages: Sequence[Stage]) -> Member:
        named = [argument for stage in stages for argument in ("--stage", stage.name)]
        member = self._member(name, self._log_name, "agents.cli", "worker", *named)
        self.ports[name] = free_port()
        member.settings = {**self._environment, "PAYMENTS_OBSERVE_PORT": str(self.ports[name])}
        return member

    def _edge(self, name: str, *arguments: str) -> Member:
        log_name = f"kinesis:{kinesis_local.REGION}"
        return self._member(name, log_name, f"agents.edge.{name}", *arguments)

    def _member(self, name: str, log_name: str, *arguments: str) -> Member:
        return self._process(name, *arguments, "--log", log_name)

    def _process(self, name: str, *arguments: str) -> Member:
        data, log_file = ("--data", str(self._folder / name)), self._folder / f"{name}.log"
        return Member(name, (*arguments, *data), log_file, name == "generator", self._environment)


async def create_streams(log: Log) -> None:
    await asyncio.gather(*(log.create_stream(stream, 1 if stream == CONTROL else SHARDS) for stream in ALL_STREAMS))
