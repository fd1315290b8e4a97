"""The publisher when it is told to publish to several streams at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernel.hashrange import LAST_HASH
from pipeline.ports import Entry, Landed, Refused
from pipeline.publisher import Publisher
from tests.faulty_log import Fate
from tests.unit.test_publisher import OTHER_STREAM, STREAM, Downstream


class AtOnce(Downstream):
    """Publishes to its streams at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.publisher = Publisher(self.log, self.clock, together=asyncio.gather)


def test_a_stream_that_takes_its_time_does_not_keep_another_waiting() -> None:
    downstream = AtOnce()
    outputs = [*downstream.outputs(1), *downstream.outputs(1, stream=OTHER_STREAM)]
    put = downstream.log.put_records
    other_is_stored = asyncio.Event()

    async def slow_for_the_first(stream: str, entries: Sequence[Entry]) -> Sequence[Landed | Refused]:
        if stream == STREAM:
            await asyncio.wait_for(other_is_stored.wait(), 10)
            return await put(stream, entries)
        landed = await put(stream, entries)
        other_is_stored.set()
        return landed

    downstream.log.put_records = slow_for_the_first  # type: ignore[method-assign]
    downstream.publish(*outputs)

    assert (downstream.numbers(), downstream.numbers(OTHER_STREAM)) == ([1], [2])


@settings(max_examples=100)
@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from([STREAM, OTHER_STREAM]), st.integers(0, LAST_HASH)), max_size=20),
    st.lists(st.sampled_from([Fate.LANDED, Fate.REFUSED, Fate.UNACKNOWLEDGED]), max_size=30),
)
def test_any_faults_leave_every_output_of_every_stream_once_and_in_order(
    shards: int, addresses: list[tuple[str, int]], said: list[Fate]
) -> None:
    downstream = AtOnce(shards, said)
    outputs = [output for stream, hashed in addresses for output in downstream.outputs(hashed, stream=stream)]

    downstream.publish(*outputs)

    for stream in (STREAM, OTHER_STREAM):
        wanted = [number for number, (addressed, _) in enumerate(addresses, 1) if addressed == stream]
        assert sorted(downstream.numbers(stream)) == wanted
        for shard in asyncio.run(downstream.log.shards(stream)):
            own = [number for number in wanted if addresses[number - 1][1] in shard.hash_range]
            assert [number for number in downstream.numbers(stream) if number in own] == own
