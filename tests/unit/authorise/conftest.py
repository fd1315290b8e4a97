"""What the tests of the authorise stage share."""

from __future__ import annotations

import pytest

from tests.unit.authorise.authorise_under_test import Authorise


@pytest.fixture
def authorise() -> Authorise:
    return Authorise()
