"""A collection in other forms: a site of static files, and the files of other tools.

Everything is written into a folder beside the target, which takes its name when all is there.
"""

from __future__ import annotations

from lookalike.export.image_embeddings import export_image_embeddings
from lookalike.export.site import export_site
from lookalike.export.tables import export_tables

__all__ = ["export_image_embeddings", "export_site", "export_tables"]
