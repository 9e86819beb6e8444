"""Turn any pile of images into a visual search engine.

Sources yield Samples. A Model turns Samples into vectors. A Collection stores them. Everything else reads
a Collection.

    collection = lookalike.build("photos/", "photos.lookalike", label="folder")
    collection.search("query.jpg", k=10)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module and name there; imported at first use, so that `import lookalike` costs nothing.
_PUBLIC = {
    "build": "builder.build",
    "open": "collection.open_collection",
    "download": "acquire.download.download",
    "FetchOptions": "fetch.FetchOptions",
    "Resize": "acquire.resize.Resize",
    "from_vectors": "vectors.from_vectors",
    "import_vectors": "vector_files.import_vectors",
    "load_model": "models.load_model",
    "evaluate": "evaluation.evaluate",
    "Collection": "collection.Collection",
    "Model": "models.Model",
    "Id": "query.Id",
    "Image": "query.Image",
    "Text": "query.Text",
    "Vector": "query.Vector",
    "Query": "query.Query",
    "Results": "results.Results",
    "Hit": "results.Hit",
    "Report": "builder.Report",
    "LookalikeError": "errors.LookalikeError",
}

__all__ = [
    "Collection",
    "FetchOptions",
    "Hit",
    "Id",
    "Image",
    "LookalikeError",
    "Model",
    "Query",
    "Report",
    "Resize",
    "Results",
    "Text",
    "Vector",
    "build",
    "download",
    "evaluate",
    "from_vectors",
    "import_vectors",
    "load_model",
    "open",
]

if TYPE_CHECKING:
    from lookalike.acquire.download import download as download
    from lookalike.acquire.resize import Resize as Resize
    from lookalike.builder import Report as Report
    from lookalike.builder import build as build
    from lookalike.collection import Collection as Collection
    from lookalike.collection import open_collection as open
    from lookalike.errors import LookalikeError as LookalikeError
    from lookalike.evaluation import evaluate as evaluate
    from lookalike.fetch import FetchOptions as FetchOptions
    from lookalike.models import Model as Model
    from lookalike.models import load_model as load_model
    from lookalike.query import Id as Id
    from lookalike.query import Image as Image
    from lookalike.query import Query as Query
    from lookalike.query import Text as Text
    from lookalike.query import Vector as Vector
    from lookalike.results import Hit as Hit
    from lookalike.results import Results as Results
    from lookalike.vector_files import import_vectors as import_vectors
    from lookalike.vectors import from_vectors as from_vectors


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lookalike' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].rpartition(".")
    return getattr(import_module(f"lookalike.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
