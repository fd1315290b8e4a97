from __future__ import annotations

import pytest

from tests.unit.settlement.builders import Clearing, a_clearing


@pytest.fixture
def clearing() -> Clearing:
    return a_clearing()
