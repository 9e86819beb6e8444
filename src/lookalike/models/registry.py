"""Models by name: those that are built in, and those that were made known in this process."""

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

# name -> the module whose load(device) makes the model; imported when the model is asked for. One that learns
# from pictures has learn(pictures) too, and load(device, learned).
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
    """Load a model by name, on `cpu` or `cuda`; raises `ModelError` where it cannot run.

    One that was registered runs where it was made to run. `learned` is what `learner` gave, for a model that
    has one: without it, it knows its size, and embeds nothing.
    """
    if device not in _DEVICES:
        raise ModelError(f"unknown device {device!r}", f"known are: {', '.join(_DEVICES)}")
    if not isinstance(name, str):
        raise ModelError(
            f"a model is loaded by its name, not {type(name).__name__}", "your own: lookalike.register(model)"
        )
    if name in _registered:
        return _registered[name]
    if name not in _BUILT_IN:
        raise _unknown(name)
    return _load_built_in(name, device, learned)


def register(model: Model) -> LoadedModel:
    """Make a model of your own known by its name in this process; returns it ready to run.

    Raises `ModelError` for what is no model, and for the name of another model.
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
    """How a model learns from pictures uint8 (S, S, 3), before it can embed; None where it need not."""
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
        + f"known are: {', '.join(known)}; one of your own becomes known by lookalike.register(model)",
    )


def _told_apart(model: LoadedModel) -> str:
    spec = model.spec
    return f"dim {spec.dim}, size_px {spec.size_px}, crop {spec.crop:g}, sha256 {spec.sha256[:8]}…"
