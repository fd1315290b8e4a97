"""What is owed arrives, again and again if need be, in order; what goes once goes in time, and its fate is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agents.edge.database import EdgeDatabase
from agents.edge.wire import courier as couriers
from agents.edge.wire.courier import Courier, Dispatch, Fate, Report
from agents.edge.wire.outbox import Outbox
from agents.edge.wire.port import Refusal, UnreachableError
from tests.memory_wire import let_posts_arrive
from tests.virtual_clock import SOME_DAY_US, US_PER_SECOND, VirtualClock

HERE, THERE = "here", "there"
LATER_US = SOME_DAY_US + US_PER_SECOND


class OtherSides:
    """Remember what was posted to each address; some are down, or refuse what says so."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, list[bytes]]] = []
        self.down: set[str] = set()

    async def post(self, address: str, documents: Sequence[bytes], seconds_max: float) -> Sequence[Refusal]:
        await asyncio.sleep(0)
        if address in self.down:
            raise UnreachableError(address)
        self.posts.append((address, list(documents)))
        return [Refusal(n, "/x", "rule", "why") for n, document in enumerate(documents) if b"refuse" in document]

    def at(self, address: str) -> list[bytes]:
        return [document for to, documents in self.posts if to == address for document in documents]


class Scene:
    """A courier, its outbox and the other sides."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.sides = OtherSides()
        self._folder = folder
        self._runner = asyncio.Runner()
        self.start({HERE: HERE, THERE: THERE})

    def start(self, addresses: dict[str, str]) -> None:
        self.database = EdgeDatabase(self._folder / "store.sqlite", "", "NORMAL")
        self.outbox = Outbox(self.database, addresses)
        self.courier: Courier[str] = Courier(self.sides, self.clock, self.outbox)

    def restart(self, addresses: dict[str, str]) -> None:
        self._runner.run(self.courier.close())
        self.database.close()
        self.start(addresses)

    def owe(self, recipient: str, *documents: bytes, due_us: int = SOME_DAY_US) -> None:
        with self.database.transaction():
            for document in documents:
                self.outbox.add(recipient, document, due_us)

    def send(self, address: str, *documents: bytes, until_us: int = LATER_US) -> None:
        for document in documents:
            self.courier.send(address, Dispatch(document.decode(), document, until_us))

    def turn(self, seconds: float = 0.0) -> None:
        self.clock.move(round(seconds * US_PER_SECOND))
        self._runner.run(self._turn())

    async def _turn(self) -> None:
        if self.outbox.has_news:
            with self.database.transaction():
                self.outbox.store()
        self.courier.turn()
        await let_posts_arrive()

    def left(self) -> list[tuple[bytes, str | None]]:
        return self.database.connection.execute("SELECT document, refused FROM owed ORDER BY number").fetchall()

    def close(self) -> None:
        self._runner.run(self.courier.close())
        self._runner.close()
        self.database.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_what_is_owed_arrives_in_order_and_then_leaves(scene: Scene) -> None:
    scene.owe(HERE, b"1", b"2", b"3")

    scene.turn()
    scene.turn()

    assert scene.sides.at(HERE) == [b"1", b"2", b"3"]
    assert scene.left() == []


def test_what_is_not_due_yet_waits(scene: Scene) -> None:
    scene.owe(HERE, b"later", due_us=LATER_US)
    scene.turn(0.9)
    assert scene.sides.posts == []

    scene.turn(0.1)

    assert scene.sides.at(HERE) == [b"later"]


def test_an_address_that_is_down_holds_up_no_other_and_gets_it_later(scene: Scene) -> None:
    scene.sides.down = {HERE}
    scene.owe(HERE, b"1")
    scene.owe(THERE, b"2")
    scene.turn()
    assert scene.sides.posts == [(THERE, [b"2"])]

    scene.sides.down = set()
    scene.turn(1)

    assert scene.sides.at(HERE) == [b"1"]


def test_what_was_not_acknowledged_goes_again_the_same_bytes_after_a_restart(scene: Scene) -> None:
    scene.owe(HERE, b"1")
    scene.turn()  # it arrives; that it did is not stored

    scene.restart({HERE: HERE})
    scene.turn()

    assert scene.sides.at(HERE) == [b"1", b"1"]


def test_what_is_refused_stays_with_the_reason_and_goes_no_more(scene: Scene) -> None:
    scene.owe(HERE, b"1", b"refuse me", b"3")
    scene.turn()
    scene.turn(1)

    scene.restart({HERE: HERE})
    scene.turn(1)

    assert scene.sides.at(HERE) == [b"1", b"refuse me", b"3"]
    assert scene.left() == [(b"refuse me", "/x: why [rule]")]


def test_who_has_moved_gets_what_is_owed_where_he_is_now(scene: Scene) -> None:
    scene.sides.down = {HERE}
    scene.owe(HERE, b"1")
    scene.turn()

    scene.restart({HERE: THERE})
    scene.turn(1)

    assert scene.sides.at(THERE) == [b"1"]


def test_what_goes_once_arrives_and_says_so(scene: Scene) -> None:
    scene.send(HERE, b"1", b"refuse me")

    scene.turn()

    assert scene.courier.reports() == [Report("1", Fate.ARRIVED), Report("refuse me", Fate.REFUSED)]
    assert scene.courier.reports() == []


def test_what_goes_once_is_not_posted_again_when_nobody_knows(scene: Scene) -> None:
    scene.sides.down = {HERE}
    scene.send(HERE, b"1")
    scene.turn()
    scene.sides.down = set()

    scene.turn(1)

    assert scene.courier.reports() == [Report("1", Fate.DOUBTFUL)]
    assert scene.sides.posts == []


def test_nothing_goes_at_its_deadline(scene: Scene) -> None:
    scene.send(HERE, b"late", until_us=LATER_US)
    scene.send(HERE, b"in time", until_us=LATER_US + 1)

    scene.turn(1)

    assert scene.sides.at(HERE) == [b"in time"]
    assert Report("late", Fate.TOO_LATE) in scene.courier.reports()


def test_a_post_is_bounded_in_messages_and_bytes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "POST_BYTES_MAX", 10)
    scene.send(HERE, *(bytes([65 + number]) * 6 for number in range(5)))

    scene.turn()

    assert [len(documents) for _, documents in scene.sides.posts] == [2, 2, 1]
