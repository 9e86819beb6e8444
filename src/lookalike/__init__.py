"""Turn any pile of images into a visual search engine.

Sources yield Samples. A Model turns Samples into vectors. A Collection stores them. Everything else reads
a Snapshot of a Collection.

    collection = lookalike.build("photos/", "photos.lookalike", label="folder")
    collection.search("query.jpg", k=10)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module and name there; imported on first use, so that `import lookalike` is fast.
_PUBLIC = {
    "build": "collection.build",
    "open": "collection.open_collection",
    "download": "acquire.download.download",
    "FetchOptions": "sources.fetch.FetchOptions",
    "Resize": "acquire.resize.Resize",
    "from_vectors": "collection.from_vectors",
    "import_vectors": "collection.import_vectors",
    "add_model": "models.adding.add_model",
    "export_model": "models.exporting.export_model",
    "load_model": "models.registry.load_model",
    "register": "models.registry.register",
    "evaluate": "collection.evaluate",
    "train": "collection.train",
    "Collection": "collection.Collection",
    "Model": "models.model.Model",
    "Id": "search.query.Id",
    "Image": "search.query.Image",
    "Text": "search.query.Text",
    "Vector": "search.query.Vector",
    "Query": "search.query.Query",
    "Results": "search.results.Results",
    "Hit": "search.results.Hit",
    "Report": "builder.build.Report",
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
    "add_model",
    "export_model",
    "load_model",
    "open",
    "register",
    "train",
]

if TYPE_CHECKING:
    from lookalike.acquire.download import download as download
    from lookalike.acquire.resize import Resize as Resize
    from lookalike.builder.build import Report as Report
    from lookalike.collection import Collection as Collection
    from lookalike.collection import build as build
    from lookalike.collection import evaluate as evaluate
    from lookalike.collection import from_vectors as from_vectors
    from lookalike.collection import import_vectors as import_vectors
    from lookalike.collection import open_collection as open
    from lookalike.collection import train as train
    from lookalike.errors import LookalikeError as LookalikeError
    from lookalike.models.adding import add_model as add_model
    from lookalike.models.exporting import export_model as export_model
    from lookalike.models.model import Model as Model
    from lookalike.models.registry import load_model as load_model
    from lookalike.models.registry import register as register
    from lookalike.search.query import Id as Id
    from lookalike.search.query import Image as Image
    from lookalike.search.query import Query as Query
    from lookalike.search.query import Text as Text
    from lookalike.search.query import Vector as Vector
    from lookalike.search.results import Hit as Hit
    from lookalike.search.results import Results as Results
    from lookalike.sources.fetch import FetchOptions as FetchOptions


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lookalike' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].rpartition(".")
    return getattr(import_module(f"lookalike.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
