"""What a build is asked for, checked before anything is written, and how it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.builder.learning import learn
from lookalike.builder.listing import Listing, Options, list_source
from lookalike.builder.moved import Move, find_move, follow, without_moved
from lookalike.builder.reconcile import Plan, forget_failures, reconcile
from lookalike.builder.stored import check_base_is_here
from lookalike.builder.tagging import chosen_tags
from lookalike.errors import CollectionError, ExtraError, ModelError, SourceError
from lookalike.models.model import LoadedModel, Model
from lookalike.models.published import pinned_name, revision_of
from lookalike.models.registry import (
    DEFAULT_MODEL,
    check_precision,
    is_path,
    load_model,
    name_in_spec,
    register,
)
from lookalike.models.spec import FLOAT32
from lookalike.models.tag_list import check_tags, with_tags
from lookalike.sources.opening import Source
from lookalike.storage.learned import find_model, pinned_model
from lookalike.storage.manifest import Manifest, check_dtype, is_collection, read_manifest, write_manifest
from lookalike.storage.writing import create


@dataclass(frozen=True, slots=True)
class Order:
    """A build that can begin: of the collection at `root` from `images`, whose contents are `listing`.

    `move` says where the source was if it has moved. `model` is what embeds, and `is_named` whether it was
    said which. `manifest` is what a new collection gets, `rebuild` whether it is made anew.
    """

    root: Path
    images: Source
    listing: Listing
    move: Move | None
    model: LoadedModel
    is_named: bool
    manifest: Manifest
    rebuild: bool


def ordered(
    root: Path,
    images: Source,
    *,
    model: str | Model | None,
    label: str | None,
    metadata: str | Path | None,
    tags: str | Path | Sequence[str] | None,
    device: str,
    precision: str | None,
    dtype: str | None,
    rebuild: bool,
) -> Order:
    """Check what `build` is asked for; raises `LookalikeError`, and writes nothing."""
    before = read_manifest(root) if is_collection(root) else None
    if precision is not None:
        check_precision(_called(model, before), precision)
    file, given, name = _named(model, device)
    if before and not rebuild:
        wishes = {"model": name, "revision": revision_of(given or ""), "precision": precision, "dtype": dtype}
        _check_goes_on(root, before, images.uri, wishes)
    listing = list_source(images, _remembered(before, images.uri, label, metadata))
    move = find_move(root, before, listing) if before and not rebuild else None
    if before and move:
        listing = list_source(images, _remembered(before, move.old_uri, label, metadata))
    names = chosen_tags(before, tags)
    asked = _asked(root, before, (file, given, name), device, precision)
    check_base_is_here(asked)
    _try_words(with_tags(asked, names))
    manifest = Manifest(
        asked.spec,
        check_dtype(dtype or (before.dtype if before else "float32")),
        {listing.source_uri: listing.options},
        asked.path,
        names,
    )
    return Order(root, images, listing, move, asked, given is not None, manifest, rebuild)


def begin(order: Order, device: str, max_megapixels: float) -> tuple[Manifest, LoadedModel, Plan]:
    """Write the manifest and drop the rows of what is gone or changed; call with the lock held."""
    root, listing, move = order.root, order.listing, order.move
    if is_collection(root) and not order.rebuild:
        stored = read_manifest(root)
    else:
        stored = create(root, order.manifest, learn(order.model, listing, order.images, max_megapixels))
    manifest = _renewed(stored, order)
    model = pinned_model(root, manifest, device)
    if move:
        follow(root, move, listing)
        forget_failures(root, move.old_uri)
        manifest = without_moved(root, manifest, move)
    manifest = manifest.with_source(listing.source_uri, listing.options)
    if manifest != stored:
        write_manifest(root, manifest)
    try:
        return manifest, model, reconcile(root, listing)
    except SourceError:  # refused before any row was touched, so it does not belong to the sources
        if not move:
            write_manifest(root, stored)
        raise


def _remembered(before: Manifest | None, uri: str, label: str | None, metadata: str | Path | None) -> Options:
    """The options of this build: those given, otherwise those of the source's last build."""
    given = {"label": label, "metadata": None if metadata is None else str(metadata)}
    last = before.sources.get(uri, {}) if before else {}
    chosen = {name: last.get(name) if value is None else value for name, value in given.items()}
    table = chosen["metadata"]
    if table not in (None, "none") and "://" not in str(table):  # the listing reports an address
        chosen["metadata"] = str(Path(str(table)).resolve())
    return {name: None if value == "none" else value for name, value in chosen.items()}


def _named(model: str | Model | None, device: str) -> tuple[LoadedModel | None, str | None, str | None]:
    """The model if it is a file or a folder, what it is called here, and its name in a manifest."""
    if isinstance(model, str) and is_path(model):
        file = load_model(model, device=device)
        return file, file.name, file.name
    given = model if isinstance(model, str | None) else register(model).name
    return None, given, name_in_spec(given) if given is not None else None


def _asked(
    root: Path,
    before: Manifest | None,
    named: tuple[LoadedModel | None, str | None, str | None],
    device: str,
    precision: str | None,
) -> LoadedModel:
    """The model that this build asks for: that of a file, the collection's, or one by its name."""
    file, given, name = named
    if file:
        return file
    if before and name in (None, before.model.name) and not precision:
        return find_model(root, before, device)
    if before and not given:
        given = pinned_name(before.model)
    return load_model(DEFAULT_MODEL if given is None else given, device=device, precision=precision)


def _called(model: str | Model | None, before: Manifest | None) -> str:
    """What the model of a build is called: the given one, that of the collection, or the default."""
    if model is None:
        return before.model_path or before.model.name if before else DEFAULT_MODEL
    return model if isinstance(model, str) else model.name


def _renewed(manifest: Manifest, order: Order) -> Manifest:
    """The manifest with the tags of this build, and where its model is now if that was said.

    The words of that model replace those of the pinned one, if both make the same vectors of pictures.
    """
    manifest, model = replace(manifest, tags=order.manifest.tags), order.model
    if not order.is_named:
        return manifest
    spec = model.spec if model.spec.sees_like(manifest.model) else manifest.model
    return replace(manifest, model_path=model.path or manifest.model_path, model=spec)


def _try_words(model: LoadedModel) -> None:
    """Try a model's text tower and the user's tags; raises `LookalikeError` if they do not fit."""
    if model.tag_list:
        check_tags(model)
    elif model.spec.text_sha256:
        with suppress(ExtraError):  # pictures can be embedded without it
            model.embed_text("photo")


def _check_goes_on(root: Path, before: Manifest, source_uri: str, wishes: Mapping[str, str | None]) -> None:
    """Raise `ModelError` or `CollectionError` if the collection cannot take in this source."""
    hint = "give another `collection`, or start again from nothing with `rebuild=True`"
    present = {
        "model": before.model.name,
        "revision": before.model.revision,
        "precision": before.model.precision or FLOAT32,
        "dtype": before.dtype,
    }
    for what, wish in wishes.items():
        if wish not in (None, present[what]):
            raise ModelError(f"{root} was built with the {what} {present[what]}, not {wish}", hint)
    for other in before.sources:
        if other != source_uri and (other.startswith(source_uri) or source_uri.startswith(other)):
            raise CollectionError(
                f"{root} has the source {other}, which shares images with {source_uri}", hint
            )
