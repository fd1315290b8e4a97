"""A manifest as a file: readable JSON that knows its own digest.

The digest is SHA-256 over the compact JSON of all other fields in their order here, so a manifest that was cut short,
altered or written by another format is not taken for a snapshot.  Bytes stand as hex, and the manifest's name tells its
place among the others: position, then whether it is the shard's END snapshot.  A shard that is closed after its last
snapshot has an ordinary one and an END snapshot at the same position, and both are kept.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.errors import InvariantViolation, SnapshotError
from pipeline.ports import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMAT = 1
_NAME = re.compile(r"([0-9a-f]+)(-END)?\.json")


class Place(NamedTuple):
    """Where a manifest stands among its shard's: places sort as snapshots do."""

    position: bytes
    ended: bool

    @classmethod
    def of(cls, manifest: Manifest) -> Place:
        """Return the place of ``manifest``."""
        return cls(manifest.position, manifest.ended)

    @classmethod
    def named(cls, names: Iterable[str]) -> list[Place]:
        """Return the places of the manifests among ``names``, the newest first."""
        found = (_NAME.fullmatch(name) for name in names)
        return sorted((cls(bytes.fromhex(match[1]), bool(match[2])) for match in found if match), reverse=True)

    @property
    def name(self) -> str:
        """The manifest's file name."""
        return f"{self.position.hex()}{'-END' if self.ended else ''}.json"


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the file."""

    format: int
    stage: str
    source: str
    shard_id: str
    position: str
    ended: bool
    chain_head: str
    behaviour: int
    state_digest: str
    files: dict[str, str]
    manifest_sha256: str


_decode = msgspec.json.Decoder(_Document).decode


def encode(manifest: Manifest) -> bytes:
    """Return the content of the manifest's file."""
    unsigned = _Document(
        format=_FORMAT,
        stage=manifest.stage,
        source=manifest.source,
        shard_id=manifest.shard_id,
        position=manifest.position.hex(),
        ended=manifest.ended,
        chain_head=manifest.chain_head.hex(),
        behaviour=manifest.behaviour,
        state_digest=manifest.state_digest.hex(),
        files=dict(sorted(manifest.files.items())),
        manifest_sha256="",
    )
    document = msgspec.structs.replace(unsigned, manifest_sha256=_digest(unsigned))
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def decode(content: bytes, stage: str, shard_id: str, place: Place) -> Manifest:
    """Return the manifest in ``content``; raise ``SnapshotError`` if it is damaged or belongs elsewhere."""
    where = f"manifest {stage}/{shard_id}/{place.name}"
    try:
        document = _decode(content)
        manifest = _manifest(document)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SnapshotError(f"{where} is damaged: {error}") from error
    if document.format != _FORMAT or document.manifest_sha256 != _digest(document):
        raise SnapshotError(f"{where} is damaged: its digest does not match its content")
    if (manifest.stage, manifest.shard_id, Place.of(manifest)) != (stage, shard_id, place):
        raise SnapshotError(f"{where} is another's: {manifest.stage}/{manifest.shard_id}/{Place.of(manifest).name}")
    return manifest


def describe(manifest: Manifest) -> str:
    """Return a name of the snapshot for messages."""
    return f"{manifest.stage}/{manifest.shard_id}/{Place.of(manifest).name.removesuffix('.json')}"


def check_same_state(existing: Manifest, manifest: Manifest) -> None:
    """Accept a lost race: both snapshots at one place must be of the same state of the same source."""
    if existing.source != manifest.source:
        raise SnapshotError(
            f"snapshot {describe(manifest)} is there from {existing.source}, and this is {manifest.source}"
        )
    if existing.state_digest != manifest.state_digest:
        raise InvariantViolation(
            f"snapshot {describe(manifest)} is there with state {existing.state_digest.hex()}, "
            f"and this worker has {manifest.state_digest.hex()}: two readings of one log differ"
        )


def _manifest(document: _Document) -> Manifest:
    return Manifest(
        stage=document.stage,
        source=document.source,
        shard_id=document.shard_id,
        position=bytes.fromhex(document.position),
        ended=document.ended,
        chain_head=bytes.fromhex(document.chain_head),
        behaviour=document.behaviour,
        state_digest=bytes.fromhex(document.state_digest),
        files=document.files,
    )


def _digest(document: _Document) -> str:
    return sha256(msgspec.json.encode(msgspec.structs.replace(document, manifest_sha256=""))).hexdigest()
