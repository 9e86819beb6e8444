"""Models by name: those that are built in, and those registered in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache, partial
from importlib import import_module

from lookalike.errors import ModelError
from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel, Model, as_model

DEFAULT_MODEL = "efficientnet-lite0"

# name -> the module whose load(device) returns the model; imported on demand. A model that learns from
# pictures also has learn(pictures), and load(device, learned).
_BUILT_IN = {
    "efficientnet-lite0": "lookalike.models.efficientnet",
    "pixels": "lookalike.models.pixels",
    "colors": "lookalike.models.colors",
    "sift": "lookalike.models.sift",
}
_DEVICES = ("cpu", "cuda")
_registered: dict[str, LoadedModel] = {}


def load_model(
    name: str = DEFAULT_MODEL, *, device: str = "cpu", learned: bytes | None = None
) -> LoadedModel:
    """Load a model by name, on `cpu` or `cuda`; raises `ModelError` if it cannot run.

    A registered model runs on its own device. `learned` is what `learner` returned, for a model that
    has one: without it, the model knows its size but cannot embed.
    """
    if device not in _DEVICES:
        raise ModelError(f"unknown device {device!r}", f"known are: {', '.join(_DEVICES)}")
    if not isinstance(name, str):
        raise ModelError(
            f"load_model takes a name, not {type(name).__name__}", "your own: lookalike.register(model)"
        )
    if name in _registered:
        return _registered[name]
    if name not in _BUILT_IN:
        raise _unknown(name)
    return _load_built_in(name, device, learned)


def register(model: Model) -> LoadedModel:
    """Register a model of your own by its name in this process; returns it ready to run.

    Raises `ModelError` if it is not a model, or another model has its name.
    """
    loaded = as_model(model)
    if loaded.name in _BUILT_IN:
        if loaded.spec != load_model(loaded.name).spec:
            raise ModelError(f"{loaded.name} is the name of a built-in model", "give yours another name")
        return loaded
    known = _registered.setdefault(loaded.name, loaded)
    if known.spec != loaded.spec:
        raise ModelError(
            f"another model is registered as {loaded.name}: {_told_apart(known)}, not {_told_apart(loaded)}",
            "give this one another name",
        )
    _registered[loaded.name] = loaded
    return loaded


def learner(name: str) -> Callable[[Sequence[Pixels]], bytes] | None:
    """The function that learns from pictures uint8 (S, S, 3), if the model has to before it can embed."""
    return getattr(import_module(_BUILT_IN[name]), "learn", None) if name in _BUILT_IN else None


@lru_cache(maxsize=4)
def _load_built_in(name: str, device: str, learned: bytes | None) -> LoadedModel:
    load = import_module(_BUILT_IN[name]).load
    model: LoadedModel = load(device) if learned is None else load(device, learned)
    return replace(model, loader=partial(load_model, name, device=device, learned=learned))


def _unknown(name: str) -> ModelError:
    known = [*_BUILT_IN, *_registered]
    near = get_close_matches(name, known, n=2)
    return ModelError(
        f"unknown model {name!r}",
        (f"did you mean {' or '.join(near)}? " if near else "")
        + f"known are: {', '.join(known)}; make your own known with lookalike.register(model)",
    )


def _told_apart(model: LoadedModel) -> str:
    spec = model.spec
    return f"dim {spec.dim}, size_px {spec.size_px}, crop {spec.crop:g}, sha256 {spec.sha256[:8]}…"
