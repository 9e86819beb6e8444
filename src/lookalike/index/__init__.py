"""Nearest neighbours without looking at every vector: builds, stores, opens and queries an index.

The only package that uses faiss. An index is derived: a faiss file in `derived/`, and `index.json`, which
records the state of the collection it was made from, how good it is, and why this kind was chosen.
docs/index.md explains the kinds.
"""

from lookalike.index.building import build_index, refresh
from lookalike.index.index import Index, index_state, open_index
from lookalike.index.info import IndexInfo, index_problems
from lookalike.index.plans import KINDS

__all__ = [
    "KINDS",
    "Index",
    "IndexInfo",
    "build_index",
    "index_problems",
    "index_state",
    "open_index",
    "refresh",
]
