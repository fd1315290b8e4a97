"""Digests of state: equal states have equal digests, whatever store holds them and however its files are laid out.

The digest of a state is SHA-256 over its pairs in the order of the keys, each as length of key and length of value
(four bytes each, big-endian), key, value; the lengths keep two neighbours from being read as one.  A file's digest is
SHA-256 of its bytes.

A checkpoint hard-links the files that did not change since the one before, so ``FileDigests`` reads only the new ones.
"""

from __future__ import annotations

from hashlib import file_digest, sha256
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pipeline.ports import StateStore

END_OF_KEYS = b"\xff"
"""Every key sorts before it: the first byte of a key names its table, and no table has this one."""

_LENGTHS = Struct(">II")
_CHUNK_BYTES = 1 << 20


def _frames(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Return the pairs with their lengths, in chunks of about a mebibyte: large enough to be hashed without the GIL."""
    parts: list[bytes] = []
    size = 0
    for key, value in pairs:
        parts += (_LENGTHS.pack(len(key), len(value)), key, value)
        size += _LENGTHS.size + len(key) + len(value)
        if size >= _CHUNK_BYTES:
            yield b"".join(parts)
            parts.clear()
            size = 0
    yield b"".join(parts)


def state_digest(store: StateStore) -> bytes:
    """Return the SHA-256 over all keys and values of ``store``, in order; reads everything, so not on the hot path."""
    digest = sha256()
    for chunk in _frames(store.scan(b"", END_OF_KEYS)):
        digest.update(chunk)
    return digest.digest()


class FileDigests:
    """SHA-256 of the files of one checkpoint after another; a file that was seen under another name is not read again.

    A file is known again by its inode, size and time of last change: the state's files are written once and then only
    linked and removed.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int], str] = {}

    def of(self, folder: Path) -> dict[str, str]:
        """Return file name -> SHA-256 in hex of every file in ``folder``, and forget files that are not in it."""
        known: dict[tuple[int, int, int, int], str] = {}
        digests: dict[str, str] = {}
        for path in sorted(folder.iterdir()):
            status = path.stat()
            identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            digest = self._known.get(identity) or _digest_of_file(path)
            known[identity] = digests[path.name] = digest
        self._known = known
        return digests


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
