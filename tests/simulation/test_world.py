"""The engine in a small world of faults: whatever happens, all ends in order; and no rule can be done without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.coroutines import finished
from tests.simulation.broken_rules import BROKEN
from tests.simulation.toy_payments import LEDGER, RESULTS
from tests.simulation.verdict import verdict_on
from tests.simulation.world import Engine, World

SEEDS = 100
PAYMENTS = 60
SEEDS_TO_CATCH_A_BROKEN_RULE = 100


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_every_payment_ends_once_in_order_and_in_balance(seed: int, scratch: Path) -> None:
    assert verdict_on(seed, PAYMENTS, scratch) == []


@pytest.mark.parametrize("rule", BROKEN)
def test_an_engine_that_breaks_a_rule_is_caught(rule: str, scratch: Path) -> None:
    caught = (verdict_on(seed, PAYMENTS, scratch, BROKEN[rule]) for seed in range(SEEDS_TO_CATCH_A_BROKEN_RULE))

    assert any(caught), f"no seed notices an engine that {rule}"


def test_a_seed_decides_everything(scratch: Path) -> None:
    worlds = [World(7, scratch / name, Engine()) for name in ("first", "second")]

    for world in worlds:
        world.run(PAYMENTS)
        world.close()

    first, second = (_everything_in(world) for world in worlds)
    assert first == second


def _everything_in(world: World) -> dict[tuple[str, str], object]:
    return {
        (stream, shard.shard_id): finished(world.log.records(stream, shard.shard_id))
        for stream in (LEDGER, RESULTS)
        for shard in finished(world.log.shards(stream))
    }
