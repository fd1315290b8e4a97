"""Every fault and every invariant of the simulator stands on its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.auditor.invariants import Invariant
from chaos.simulator.faults import Fault

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("fault", Fault)
def test_the_catalogue_of_faults_has_every_fault(fault: Fault) -> None:
    lines = (DOCS / "faults.md").read_text("utf-8").splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| ")]
    assert any(fault in row for row in rows), f"docs/faults.md says nothing of {fault}"


@pytest.mark.parametrize("invariant", Invariant)
def test_the_page_of_invariants_has_every_invariant(invariant: Invariant) -> None:
    assert f"| **{invariant.value}** |" in (DOCS / "invariants.md").read_text("utf-8")
