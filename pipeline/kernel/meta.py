"""What a shard's state says about itself: whose it is, and how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pipeline.kernel import keys
from pipeline.kernel.hashrange import HashRange

if TYPE_CHECKING:
    from pipeline.kernel.tables import Changes
    from pipeline.ports import StateStore


class Meta(msgspec.Struct, frozen=True):
    """What a shard knows about itself; committed with everything else."""

    source: str
    """The packed ``Source``: state of another log, stream or shard is not taken for this one's."""
    first: bytes
    last: bytes
    position: bytes
    chain_head: bytes
    now_us: int
    behaviour: int
    records: int
    """Records in the chain so far."""
    ended: bool = False
    """The shard was closed, read to its end, and has told its destinations."""

    @property
    def hash_range(self) -> HashRange:
        """The range the shard owns."""
        return HashRange.from_bytes(self.first, self.last)


_encode_meta = msgspec.msgpack.Encoder().encode
_meta_decoder = msgspec.msgpack.Decoder(Meta)


def read_meta(store: StateStore) -> Meta | None:
    """Return what the state in ``store`` is, or None if it was never completely set up."""
    data = store.get(keys.META)
    return None if data is None else _meta_decoder.decode(data)


def write_meta(meta: Meta, changes: Changes) -> None:
    """Put the row of ``meta`` into ``changes``."""
    changes[keys.META] = _encode_meta(meta)
