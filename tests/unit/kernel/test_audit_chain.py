"""The chain of digests: its heads are pinned, since what was recorded must verify for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernel import audit_chain
from pipeline.kernel.agent import Output
from pipeline.kernel.position import Position

SOURCE = b"log-1/payments/shardId-000000000000"
POSITION = Position(300, 2).pack()
OUTPUTS = [
    Output("clearing", bytes(16), bytes(16), b"first record"),
    Output("outcomes", bytes(16), b"\xff" * 16, b"second record"),
]

outputs = st.lists(
    st.builds(Output, st.text("abc", max_size=3), st.just(b""), st.just(b""), st.binary(max_size=5)), max_size=4
)


def test_a_stream_begins_at_its_golden_head() -> None:
    head = audit_chain.genesis(SOURCE)

    assert head.hex() == "13dc134bf840d1e56903eaf01ac0fa4c4693b984a0ecb103ca614e1902412c81"


def test_a_child_begins_at_the_golden_head_of_its_parents() -> None:
    head = audit_chain.child_of([bytes(32), b"\x01" * 32], SOURCE)

    assert head.hex() == "99b881df82e501daf9670ff3aa038ffa922b1386679ae9639416c827187a257f"


def test_a_record_and_its_outputs_have_their_golden_head() -> None:
    head = audit_chain.advance(audit_chain.genesis(SOURCE), POSITION, b"a record", OUTPUTS)

    assert head.hex() == "1f212f31af6339b87994e6393ed90df59e82601fbf5ac2d43d6e3459bcd0a051"


def test_a_record_without_outputs_has_its_golden_head() -> None:
    head = audit_chain.advance(audit_chain.genesis(SOURCE), POSITION, b"a record", [])

    assert head.hex() == "7dc105734bc26480feb6c5c36e974a087257351bfc2100db2f9f5592ec1dabd2"


@given(outputs, outputs)
def test_other_outputs_have_another_head(one: list[Output], other: list[Output]) -> None:
    heads = [audit_chain.advance(bytes(32), POSITION, b"a record", several) for several in (one, other)]

    assert (one == other) == (heads[0] == heads[1])


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=20, max_size=20), st.binary())
def test_a_head_hangs_on_what_was_before_on_the_position_and_on_the_record(
    before: bytes, position: bytes, record: bytes
) -> None:
    heads = {
        audit_chain.advance(before, position, record, []),
        audit_chain.advance(before[::-1] + b"!", position, record, []),
        audit_chain.advance(before, position[:-1] + bytes([position[-1] ^ 1]), record, []),
        audit_chain.advance(before, position, record + b"!", []),
    }

    assert len(heads) == 4
