"""One set of AWS services for all contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws_under_test import aws_server


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    with aws_server() as endpoint:
        yield endpoint
