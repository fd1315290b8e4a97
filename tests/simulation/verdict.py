"""Runs a seed's world and says what came of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import PipelineError
from tests.faulty_log import ForkError
from tests.simulation.audit import problems_of
from tests.simulation.world import Engine, StuckError, World

ENGINE = Engine()


def verdict_on(seed: int, payments: int, scratch: Path, engine: Engine = ENGINE) -> list[str]:
    """Return what is wrong once the world of ``seed`` has come to rest; a broken engine may stop before it does."""
    with TemporaryDirectory(dir=scratch) as folder:
        world = World(seed, Path(folder), engine)
        try:
            world.run(payments)
            return problems_of(world)
        except (PipelineError, ForkError, StuckError) as failure:
            return [f"{type(failure).__name__}: {failure}"]
        finally:
            world.close()
