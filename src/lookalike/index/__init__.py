"""Nearest neighbours without looking at every vector: builds, keeps, opens and asks an index.

The only package that knows faiss. An index is derived: a file of faiss in `derived/`, and `index.json`, which
says from which state of the collection it was made, how well it does, and why it is the one.
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
