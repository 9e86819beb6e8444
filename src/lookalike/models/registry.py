"""Models by name: those that are built in, those registered in this process, and files by their path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path

from lookalike.errors import ModelError
from lookalike.images.picture import Pixels
from lookalike.models.devices import AUTO, CPU, check_device, on_device
from lookalike.models.hub import is_repository
from lookalike.models.known import BUILT_IN, KNOWN_MODELS
from lookalike.models.model import LoadedModel, Model, as_model
from lookalike.models.published import (
    SHORT_NAMES,
    full_name,
    is_published,
    load_published,
    near_names,
    pinned_name,
)
from lookalike.models.spec import FLOAT32, PRECISIONS, ModelSpec
from lookalike.models.spelling import close_names

DEFAULT_MODEL = BUILT_IN

_MODULES = {one.name: one.module for one in KNOWN_MODELS}
_registered: dict[str, LoadedModel] = {}


def load_model(
    name: str = DEFAULT_MODEL,
    *,
    device: str = "cpu",
    precision: str | None = None,
    learned: bytes | None = None,
) -> LoadedModel:
    """Load a model by name or path on a device; raises `ModelError` if it cannot run there.

    `device` is `cpu`, `cuda`, `cuda:1`, `mps` or `auto`: the fastest that works. A model without a network,
    such as `pixels`, runs on the CPU, and its `device_note` says so if another device was asked for. A path
    is that of an ONNX file, or of a folder that `add_model` or `export_model` made. A published model, such
    as `dinov2-small`, `timm:resnet50`, `hf:ORG/NAME` or `open_clip:NAME/TAG`, is fetched from its hub if it
    is not on this machine; `NAME@REVISION` is one revision of it. It alone has a `precision`: `float32`,
    `float16` or `bfloat16`, that of its products on every device. A registered model runs on its own device.
    `learned` is what `learner` returned, for a model that has one: without it, the model knows its size but
    cannot embed.
    """
    check_device(device)
    if not isinstance(name, str):
        raise ModelError(
            f"load_model takes a name, not {type(name).__name__}", "your own: lookalike.register(model)"
        )
    check_precision(name, precision)
    if name in _registered:
        return _registered[name]
    if name in _MODULES:
        return _load_built_in(name, device, learned)
    if is_published(name):
        return on_device(device, lambda one: load_published(name, one, load_model, precision or FLOAT32))
    if "://" in name:
        raise ModelError(
            f"a model is not fetched from an address: {name}", "fetch it first, and give its path"
        )
    if is_path(name) and (os.path.exists(name) or not near_names(name)):
        return _load_file(name, device)
    raise _unknown(name)


def check_precision(name: str, precision: str | None) -> None:
    """Raise `ModelError` for a precision of no kind, or of a model that has none to choose."""
    if precision is None:
        return
    if precision not in PRECISIONS:
        raise ModelError(f"unknown precision {precision!r}", f"known are: {', '.join(PRECISIONS)}")
    if name in _registered or not is_published(name):
        raise ModelError(
            f"{name} computes as its file or its code says, so it has no precision to choose",
            "leave out `precision`, which is for timm:NAME, hf:ORG/NAME and open_clip:NAME/TAG",
        )


def is_path(name: str) -> bool:
    """Whether a model is named by the path of its file or folder, and not by a name that is known."""
    if name in _MODULES or name in _registered or is_published(name) or not name:
        return False
    return name.endswith(".onnx") or bool({"/", os.sep} & {*name}) or os.path.isdir(name)


def load_pinned(spec: ModelSpec, device: str = "cpu", learned: bytes | None = None) -> LoadedModel:
    """Load the model of a spec by its name, at its revision and in its precision; see `load_model`."""
    return load_model(pinned_name(spec), device=device, precision=spec.precision or None, learned=learned)


def name_in_spec(name: str) -> str:
    """The name that the spec of a model has, which is another for a published model: `dinov2-small`.

    Raises as `published.full_name`, and `ModelError` for an empty name.
    """
    if not name.strip():
        raise ModelError("the name of the model is empty", "name one, or leave it out")
    return full_name(name) if is_published(name) and name not in _registered else name


def is_registered(name: str) -> bool:
    """Whether a model was registered by that name in this process."""
    return name in _registered


def check_name(name: str) -> None:
    """Raise `ModelError` if a built-in model has the name."""
    if name in _MODULES:
        raise ModelError(f"{name} is the name of a built-in model", "give yours another name")


def register(model: Model) -> LoadedModel:
    """Register a model of your own by its name in this process; returns it ready to run.

    Raises `ModelError` if it is not a model, or another model has its name.
    """
    loaded = as_model(model)
    if loaded.name in _MODULES:
        if loaded.spec != load_model(loaded.name).spec:
            check_name(loaded.name)
        return loaded
    known = _registered.setdefault(loaded.name, loaded)
    if known.spec != loaded.spec:
        raise ModelError(
            f"another model is registered as {loaded.name}: {_told_apart(known.spec, loaded.spec)}, "
            f"not {_told_apart(loaded.spec, known.spec)}",
            "give this one another name",
        )
    _registered[loaded.name] = loaded
    return loaded


def learner(name: str) -> Callable[[Sequence[Pixels]], bytes] | None:
    """The function that learns from pictures uint8 (S, S, 3), if the model has to before it can embed."""
    return getattr(import_module(_MODULES[name]), "learn", None) if name in _MODULES else None


@lru_cache(maxsize=4)
def _load_built_in(name: str, device: str, learned: bytes | None) -> LoadedModel:
    load = import_module(_MODULES[name]).load
    more = () if learned is None else (learned,)
    model: LoadedModel = on_device(device, lambda one: load(one, *more))
    if device not in (AUTO, model.device):
        model = replace(model, device_note=f"it has no network that could run on {device}")
    return replace(model, loader=partial(load_model, name, device=device, learned=learned))


def _load_file(path: str, device: str) -> LoadedModel:
    from lookalike.models.class_words import with_words

    if is_repository(path) and not path.endswith(".onnx") and not os.path.exists(path):
        raise ModelError(
            f"there is no file or folder {path}",
            f"check the path, or say which published model it is: hf:{path}, timm:{path} or open_clip:{path}",
        )
    model = with_words(_load_folder(Path(path), device), Path(path))
    built_in = _load_built_in(DEFAULT_MODEL, CPU, None)
    if model.sha256 == built_in.sha256 and Path(path).is_file():
        return _load_built_in(DEFAULT_MODEL, device, None)  # its own file, and so its words and tags too
    check_name(model.name)
    return replace(model, loader=partial(load_model, model.path, device=device))


def _load_folder(path: Path, device: str) -> LoadedModel:
    """Load the file or the folder of a model by its kind."""
    from lookalike.models import head_model, onnx_model

    if head_model.is_head(path):  # on the device of its base
        return head_model.load(path, partial(find_base, device=device))
    return on_device(device, partial(onnx_model.load, path))


def find_base(spec: ModelSpec, path: str, device: str = CPU) -> LoadedModel | None:
    """The model of a spec, from its path or by its name; None if its vectors were made elsewhere.

    Raises `ModelError` if it is missing, or another version.
    """
    if not spec.sha256 or learner(spec.name) is not None:
        return None
    if is_registered(spec.name):
        base = load_model(spec.name)
    elif path:
        if not os.path.exists(path):
            raise ModelError(f"the model {spec.name}, on whose vectors this one sits, is not at {path}")
        base = load_model(path, device=device)
    else:
        base = load_pinned(spec, device)
    if base.spec != spec:
        raise ModelError(
            f"{spec.name} is another version than the one on whose vectors this model sits",
            "train it again",
        )
    return base


def base_name(head: LoadedModel) -> str:
    """The name or the path by which `load_model` loads the model that a head sits on."""
    from lookalike.models.head_model import base_path

    assert head.base is not None
    return base_path(Path(head.path)) or pinned_name(head.base)


def _unknown(name: str) -> ModelError:
    known = [*_MODULES, *SHORT_NAMES, *_registered]
    near = near_names(name) or close_names(name, known)
    return ModelError(
        f"unknown model {name!r}",
        (f"did you mean {' or '.join(near)}? " if near else "")
        + f"known are: {', '.join(known)}, timm:NAME, hf:ORG/NAME and open_clip:NAME/TAG; "
        "make your own known with lookalike.register(model)",
    )


def _told_apart(spec: ModelSpec, other: ModelSpec) -> str:
    """The fields of a spec that are not those of another."""
    found = [(name, getattr(spec, name)) for name in ModelSpec.__dataclass_fields__]
    own = [(name, value) for name, value in found if value != getattr(other, name)]
    return ", ".join(f"{name} {value[:8]}…" if name == "sha256" else f"{name} {value}" for name, value in own)
