"""The key that tokens are made with: 32 bytes in a file that only its owner reads, as 64 hexadecimal digits.

Who has the key can find out whether a token stands for a number that he guesses; so it is kept like a password.  It
does not open a token: that takes the vault.
"""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING, Final

from agents.edge.errors import EdgeError
from pipeline.state.durable import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES: Final = 32
KEY_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_key(path: Path) -> bytes:
    """Return the key in ``path``; ``EdgeError`` if it holds none, or if others than its owner may open it."""
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except OSError as error:
        raise EdgeError(f"the vault's key cannot be read: {error}") from None
    if mode & _OTHERS:
        raise EdgeError(f"{path} holds the vault's key, and others than its owner may open it; chmod 600 it")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise EdgeError(f"{path} is no key of a vault, which is {2 * KEY_BYTES} hexadecimal digits")
    return key


def make_key(path: Path) -> bytes:
    """Return the key in ``path``, drawn and stored there, durably, if there is no such file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = path.with_name(f"{path.name}.{os.getpid()}.new")
    file = os.open(drawn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, KEY_MODE)
    try:
        os.write(file, secrets.token_hex(KEY_BYTES).encode())
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(drawn, path)
    except FileExistsError:
        pass
    finally:
        drawn.unlink()
    sync_folder(path.parent)
    return read_key(path)
