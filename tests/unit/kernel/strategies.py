"""Hypothesis strategies for the values that the kernel is made of."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from pipeline.kernel.hashrange import FULL_RANGE, HASH_BYTES, LAST_HASH, HashRange
from pipeline.kernel.position import LINEAGE_BYTES, Position, Source

hashes = st.integers(0, LAST_HASH) | st.sampled_from([0, 1, LAST_HASH - 1, LAST_HASH])
"""A hash, and now and then one at the border."""

near_hashes = st.integers(0, 20)
"""A hash out of few, so that ranges of them meet, touch and overlap."""

positions = st.builds(Position, st.integers(0, (1 << 128) - 1), st.integers(0, (1 << 32) - 1))
lineages = st.binary(min_size=LINEAGE_BYTES, max_size=LINEAGE_BYTES)
names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=20)
sources = st.builds(Source, names, names, names)
hash_bytes = st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES)


def ranges(of: st.SearchStrategy[int] = hashes) -> st.SearchStrategy[HashRange]:
    """Return ranges between two hashes drawn from ``of``."""
    return st.tuples(of, of).map(lambda ends: HashRange(min(ends), max(ends)))


@st.composite
def tilings(draw: st.DrawFn, whole: HashRange = FULL_RANGE, parts_max: int = 6) -> list[HashRange]:
    """Return ranges that tile ``whole``, in order."""
    inner = st.integers(whole.first + 1, whole.last)
    cuts = sorted(draw(st.sets(inner, max_size=parts_max - 1)))
    edges = [whole.first, *cuts, whole.last + 1]
    return [HashRange(first, end - 1) for first, end in pairwise(edges)]
