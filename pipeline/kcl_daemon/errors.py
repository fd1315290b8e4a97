"""What can go wrong around the daemon."""

from __future__ import annotations

from pipeline.errors import PipelineError


class DaemonSetupError(PipelineError):
    """The daemon cannot be started like this; the message says what is missing or wrong, and what to do."""
