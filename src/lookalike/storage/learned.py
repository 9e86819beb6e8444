"""What a model learned from the images of a collection: a file beside the manifest, named by its checksum.

The checksum is also the model's in the manifest, so writing the manifest puts both into force at once.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lookalike.errors import ExtraError, ModelError, ModelExtraError, call_of_build
from lookalike.models.model import LoadedModel
from lookalike.models.registry import is_registered, learner, load_model, load_pinned
from lookalike.models.spec import ModelSpec
from lookalike.models.tag_list import with_tags
from lookalike.storage.files import remove, write_bytes
from lookalike.storage.manifest import Manifest

# Only the start of the name is matched, because a killed writer leaves a file with a longer name.
FILE_NAME = re.compile(r"model-[0-9a-f]{16}\.npz")

_CHECKSUM = re.compile("[0-9a-f]{64}")


def write_learned(root: Path, learned: bytes) -> str:
    """Write what a model learned into the collection at `root`; returns the checksum."""
    checksum = hashlib.sha256(learned).hexdigest()
    write_bytes(_path(root, checksum), learned)
    return checksum


def read_learned(root: Path, spec: ModelSpec) -> bytes | None:
    """Return what the collection's model learned, or None if it does not learn or was never installed here.

    Raises `ModelError` if the file is missing or damaged.
    """
    if learner(spec.name) is None or not _CHECKSUM.fullmatch(spec.sha256):
        return None
    path, hint = _path(root, spec.sha256), _again(root)
    try:
        learned = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}, what {spec.name} learned, is missing", hint) from None
    if hashlib.sha256(learned).hexdigest() != spec.sha256:
        raise ModelError(f"{path}: the checksum does not match, the file is damaged", hint)
    return learned


def remove_others(root: Path, spec: ModelSpec) -> None:
    """Remove learned files that do not belong to the current manifest."""
    for path in root.glob("model-*"):
        if FILE_NAME.match(path.name) and path.name != _path(root, spec.sha256).name:
            remove(path)


def _again(root: Path) -> str:
    return f"embed it again with: {call_of_build(root, ', rebuild=True')}"


def _path(root: Path, checksum: str) -> Path:
    return root / f"model-{checksum[:16]}.npz"


def pinned_model(root: Path, manifest: Manifest, device: str = "cpu") -> LoadedModel:
    """Load the model that a manifest names; raises `ModelError` if it is missing or another version.

    It gives tags by the user's list, if the manifest has one. Raises `ModelExtraError` without its library.
    """
    pinned = manifest.model
    if not pinned.sha256:
        raise ModelError(
            f"the vectors of {root} were made elsewhere, by {pinned.name}, which is not available here",
            "search by `Id(...)` or by a vector",
        )
    try:
        model = find_model(root, manifest, device, read_learned(root, pinned))
    except ExtraError as error:
        raise ModelExtraError(error.message, error.extra) from None
    if model.spec != pinned and model.spec.sees_like(pinned):
        where = manifest.model_path or pinned.name
        raise ModelError(
            f"{root} was built with other words of {pinned.name}: "
            "its text tower, tokenizer or prompts changed",
            "bring back what was there, or take what is there now, which embeds nothing anew: "
            + call_of_build(root, f", model={where!r}"),
        )
    if model.spec != pinned:
        raise ModelError(
            f"{root} was embedded with another version of {pinned.name}, whose vectors "
            "cannot be compared with this one's",
            _again(root),
        )
    return with_tags(model, manifest.tags)


def find_model(
    root: Path, manifest: Manifest, device: str = "cpu", learned: bytes | None = None
) -> LoadedModel:
    """Load the model with the name in a manifest, or from the path there; its version is not checked.

    A model that was registered by that name is preferred. Raises `ModelError` if there is none.
    """
    name, path = manifest.model.name, manifest.model_path
    if is_registered(name):
        return load_model(name, device=device)
    if not path:
        return load_pinned(manifest.model, device, learned)
    if not Path(path).exists():
        raise ModelError(
            f"the model {name}, which embedded {root}, was at {path} and is not there now",
            f"bring it back, or say where it is: {call_of_build(root, ', model=path')}",
        )
    return load_model(path, device=device)
