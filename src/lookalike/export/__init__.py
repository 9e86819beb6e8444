"""Exports a collection as a site of static files, or as files for other tools.

Everything is written into a folder beside the target, which gets its name when it is complete.
"""

from __future__ import annotations

from lookalike.export.image_embeddings import export_image_embeddings
from lookalike.export.site import export_site
from lookalike.export.tables import export_tables

__all__ = ["export_image_embeddings", "export_site", "export_tables"]
