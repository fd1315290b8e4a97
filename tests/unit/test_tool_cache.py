"""A tool is looked for outside the tree, where the digest of what it consists of says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import tool_cache


def test_another_lock_is_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lock = tmp_path / "lock"
    lock.write_text("one==1\n")
    before = tool_cache.folder("tool", lock)
    lock.write_text("one==2\n")

    assert tool_cache.folder("tool", lock) != before
    assert before == tmp_path / "cache" / "payments-on-streams" / "tool-9c3fdb38f4ee"


def test_without_a_cache_of_its_own_a_home_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    lock = tmp_path / "lock"
    lock.touch()

    assert tool_cache.folder("tool", lock).parent == tmp_path / ".cache" / "payments-on-streams"
