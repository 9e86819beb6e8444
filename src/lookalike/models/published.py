"""Models by the name that their publisher gave them: `timm:NAME`, `hf:ORG/NAME`, `open_clip:NAME/TAG`.

`NAME@REVISION` is a revision of its hub; a collection's manifest has the one that was first fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

from lookalike.errors import ExtraError, ModelError
from lookalike.models import hub
from lookalike.models.known import PUBLISHED_MODELS, PublishedModel
from lookalike.models.model import LoadedModel
from lookalike.models.spec import FLOAT32, ModelSpec
from lookalike.models.torch_network import TorchNetwork, to_model

# The module of each kind, imported on demand. It has full_name(name), fetch(full_name, revision), which gives
# files, and read(full_name, files).
_KINDS = {
    "timm": "lookalike.models.timm_model",
    "hf": "lookalike.models.transformers_model",
    "open_clip": "lookalike.models.open_clip_model",
}
_EXTRAS = {"timm": "timm", "hf": "transformers", "open_clip": "open-clip"}
_WEIGHTS = hub.Wanted((("*.safetensors", "*.bin"),))
SHORT_NAMES = {one.name: one.published for one in PUBLISHED_MODELS}


def is_published(name: str) -> bool:
    """Whether it is a short known name, or one with the prefix of a kind."""
    return name.partition("@")[0] in SHORT_NAMES or name.partition(":")[0] in _KINDS


def near_names(name: str) -> list[str]:
    """The names that may be meant by one whose prefix is misspelled, such as `tim:resnet50`."""
    prefix, colon, rest = name.partition(":")
    return [f"{kind}:{rest}" for kind in get_close_matches(prefix.lower(), _KINDS, n=1)] if colon else []


def full_name(name: str) -> str:
    """The name in the spec of a published model, without a revision: `timm:resnet50.a1_in1k`.

    Raises `ModelError` for a name that its library does not know, and `ExtraError` without the library.
    """
    kind, rest, _ = _split(name)
    return f"{kind}:{import_module(_KINDS[kind]).full_name(rest)}"


def pinned_name(spec: ModelSpec) -> str:
    """The name that loads the model of a spec again, at its revision."""
    return f"{spec.name}@{spec.revision}" if spec.revision else spec.name


def revision_of(name: str) -> str | None:
    """The revision in the name of a published model; None if it has none."""
    return name.partition("@")[2] or None if is_published(name) else None


def read_published(name: str) -> TorchNetwork:
    """Read a published network, fetching what is not on this machine; raises as `hub.fetch`."""
    module, own, files = _fetched(name)
    network: TorchNetwork = module.read(own, files)
    return network


def bytes_here(known: PublishedModel) -> int | None:
    """The size of the weights of a known model on this machine; None if they are not here."""
    try:
        found = hub.find(known.repository, _WEIGHTS)
    except ExtraError:
        return None
    if found is None:
        return None
    return sum((found.folder / name).stat().st_size for name in found.names)


def extra_of(known: PublishedModel) -> str:
    """The extra of the package that a known model needs."""
    return _EXTRAS[known.published.partition(":")[0]]


@lru_cache(maxsize=4)
def load_published(
    name: str, device: str, loader: Callable[..., LoadedModel], precision: str = FLOAT32
) -> LoadedModel:
    """Load a published model on a device; `loader(name, device=, precision=)` loads it after unpickling.

    It is the same object by its short name, its full one, and with its revision.
    """
    return _loaded(*_fetched(name), device=device, loader=loader, precision=precision)


@lru_cache(maxsize=4)
def _loaded(
    module: Any,
    name: str,
    files: hub.Fetched,
    *,
    device: str,
    loader: Callable[..., LoadedModel],
    precision: str,
) -> LoadedModel:
    network = module.read(name, files)
    own: Any = "" if precision == FLOAT32 else precision
    model = to_model(replace(network, spec=replace(network.spec, precision=own)), device)
    again = partial(loader, pinned_name(model.spec), device=device, precision=precision)
    return replace(model, loader=again)


def _fetched(name: str) -> tuple[Any, str, hub.Fetched]:
    """The module of a name's kind, the full name in it, and its files; raises as `hub.fetch`."""
    kind, rest, revision = _split(name)
    module: Any = import_module(_KINDS[kind])
    own = module.full_name(rest)
    return module, own, module.fetch(own, revision)


def _split(name: str) -> tuple[str, str, str]:
    """The kind, the name in it and the revision."""
    before, _, revision = name.partition("@")
    kind, _, rest = SHORT_NAMES.get(before, before).partition(":")
    if not rest:
        raise ModelError(f"{name!r} names no model", f"write {kind}:NAME")
    return kind, rest, revision
