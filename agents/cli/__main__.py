"""``python -m agents.cli``: the same as ``payments``."""

from __future__ import annotations

from agents.cli import main

main()
