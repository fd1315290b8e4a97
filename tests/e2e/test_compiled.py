"""A compiled build puts out the same bytes as the source: a whole simulated world, to its digest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.simulator.simulate import simulate

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SEED, PAYMENTS = 7, 60
NO_COMPILER = "a C compiler (cc) is needed to test the compiled build; install gcc or clang"
_DIGEST = f"""
from chaos.simulator.simulate import simulate
from pipeline.kernel import machine
print(machine.__file__, simulate({SEED}, {PAYMENTS}).digest)
"""


def test_a_compiled_build_gives_the_same_streams_to_the_byte(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        if os.environ.get("CI") == "true":
            pytest.fail(NO_COMPILER)
        pytest.skip(NO_COMPILER)
    for package in ("agents", "chaos", "pipeline", "schemas"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "compiled.py", tmp_path)
    subprocess.run([sys.executable, "compiled.py"], cwd=tmp_path, check=True, capture_output=True)

    done = subprocess.run([sys.executable, "-c", _DIGEST], cwd=tmp_path, check=True, capture_output=True, text=True)

    module, digest = done.stdout.split()
    assert Path(module).parent == tmp_path / "pipeline" / "kernel"
    assert module.endswith(".so")
    assert digest == simulate(SEED, PAYMENTS).digest
