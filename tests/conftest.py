"""What holds for every test: no verdict hangs on how fast the machine is, and in parallel a file stays together.

With pytest-xdist a worker gets whole files, whose fixtures are then made once.  Tests that have many processes move
payments go one after the other: payments have deadlines, and side by side most of them would miss theirs.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

ONE_AFTER_THE_OTHER = ("tests/e2e/", "tests/emulator/test_payments_", "tests/emulator/test_stack")

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist comes without types
    """Says which tests one worker runs in a row."""

    def _split_scope(self, nodeid: str) -> str:
        return "one after the other" if nodeid.startswith(ONE_AFTER_THE_OTHER) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesTogether:
    return FilesTogether(config, log)
