"""Models of transformers: `hf:ORG/NAME`, for CLIP, SigLIP 1 and 2, DINOv2 and DINOv3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import ModelError, counted, one_line
from lookalike.images.fit import Interpolation
from lookalike.models import hub
from lookalike.models.known import PUBLISHED_MODELS
from lookalike.models.spec import ModelSpec, Resize
from lookalike.models.spelling import close_names
from lookalike.models.torch_network import (
    TorchNetwork,
    crop_of,
    library,
    loaded,
    not_supported,
    only_output,
)
from lookalike.models.torch_text import (
    TOKENIZER,
    TOKENIZER_CONFIG,
    TorchText,
    checksum_with,
    padding_of,
    read_json,
)

if TYPE_CHECKING:
    import torch

_EXTRA = "transformers"

# The class of the image tower by the type of the model, and the output that is its pooled features: what
# `get_image_features` gives of a model with two towers.
_TOWERS = {
    "clip": ("CLIPVisionModelWithProjection", "image_embeds"),
    "clip_vision_model": ("CLIPVisionModelWithProjection", "image_embeds"),
    "siglip": ("SiglipVisionModel", "pooler_output"),
    "siglip_vision_model": ("SiglipVisionModel", "pooler_output"),
    "dinov2": ("Dinov2Model", "pooler_output"),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", "pooler_output"),
    "dinov3_vit": ("DINOv3ViTModel", "pooler_output"),
    "dinov3_convnext": ("DINOv3ConvNextModel", "pooler_output"),
}
_WITH_WORDS = ("clip", "siglip")
_CONFIG, _INDEX = "config.json", "model.safetensors.index.json"
_PREPROCESSING = ("preprocessor_config.json", "processor_config.json")
_WANTED = hub.Wanted(
    ((_CONFIG,), _PREPROCESSING, ("model.safetensors", "model-*.safetensors", "pytorch_model.bin")),
    (_INDEX, TOKENIZER, TOKENIZER_CONFIG, *_PREPROCESSING),
)
# The numbers of Pillow's `Resampling`, which these files use.
_INTERPOLATIONS: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
# The preprocessing of these cuts pictures unless their file says otherwise.
_CUTTING = ("CLIP", "Bit")


def full_name(name: str) -> str:
    """The name itself; raises `ModelError` unless it is ORG/NAME."""
    if "/" not in name and (near := close_names(name, [one.name for one in PUBLISHED_MODELS])):
        raise ModelError(f"{name!r} is not the name of a repository, ORG/NAME", f"did you mean {near[0]}?")
    hub.check_repository(name)
    return name


def fetch(name: str, revision: str) -> hub.Fetched:
    """The files of a repository; raises `ExtraError` without transformers, before anything is fetched."""
    library("transformers", _EXTRA)
    return hub.fetch(name, _WANTED, revision)


def read(name: str, files: hub.Fetched) -> TorchNetwork:
    """Load the image tower of a repository; its features are its pooled output."""
    transformers = library("transformers", _EXTRA)
    called = f"hf:{name}"
    kind = read_json(files.folder / _CONFIG).get("model_type", "")
    if kind not in _TOWERS:
        raise ModelError(
            f"{called} is a model of the type {kind!r}",
            f"of transformers these run: {', '.join(_TOWERS)}"
            + ("; take a SigLIP 2 of a fixed size, such as siglip2-base" if kind == "siglip2" else ""),
        )
    weights = files.matching("model*.safetensors", "pytorch_model.bin")
    spec = _spec(called, _preprocessing(files.folder), hub.checksum(weights), files.revision)
    tower, output = _TOWERS[kind]
    with _quiet(transformers):
        network = loaded(called, lambda: _tower(transformers, tower, files.folder))
    image = only_output(network, lambda one, pixels: getattr(one(pixel_values=pixels), output))
    if kind not in _WITH_WORDS:
        return TorchNetwork(spec, image)
    # In this order, so that the tokenizer is not there without what is said of it.
    hub.fetch_left_out(files, TOKENIZER_CONFIG, TOKENIZER)
    tokenizer = files.folder / TOKENIZER
    if not tokenizer.is_file():
        return TorchNetwork(spec, image)
    return TorchNetwork(
        spec,
        image,
        partial(_text, called, files.folder, kind),
        checksum_with(spec.sha256, tokenizer.read_bytes()),
    )


def _tower(transformers: Any, tower: str, folder: Path) -> Any:
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    own = getattr(config, "vision_config", config)
    if hasattr(config, "projection_dim"):  # which the part for pictures may say otherwise
        own.projection_dim = config.projection_dim
    return _whole(getattr(transformers, tower), folder, config=own)


def _whole(kind: Any, folder: Path, **more: Any) -> Any:
    """A model of a class; raises `ValueError` for files without some weights, which would be random then."""
    found, about = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True, **more)
    if missing := sorted(about["missing_keys"]):
        raise ValueError(f"it lacks {counted(len(missing), 'tensor')} of its weights, such as {missing[0]}")
    return found


def _text(called: str, folder: Path, kind: str) -> TorchText:
    """The tower for words, with its tokenizer as transformers would set it up."""
    transformers = library("transformers", _EXTRA)
    with _quiet(transformers):
        whole = loaded(called, lambda: _whole(transformers.AutoModel, folder))
    whole.vision_model = None  # its memory
    own = whole.config.text_config
    about = folder / TOKENIZER_CONFIG
    said = read_json(about) if about.is_file() else {}
    pad_id, padding_side = padding_of(folder, own.pad_token_id)
    return TorchText(
        only_output(whole, _text_features),
        (folder / TOKENIZER).read_text("utf-8"),
        length=own.max_position_embeddings,
        pad_id=pad_id,
        # SigLIP was trained on small letters, which not all of its tokenizers see to.
        lower_case=kind == "siglip" and bool(said.get("do_lower_case", True)),
        logit_scale=float(whole.logit_scale.exp()),
        padding_side=padding_side,
        is_causal=kind == "clip" and padding_side == "right",
    )


def _text_features(whole: Any, tokens: torch.Tensor) -> torch.Tensor:
    found = whole.get_text_features(input_ids=tokens)
    pooled: torch.Tensor = getattr(found, "pooler_output", found)  # transformers 4 gives the vectors alone
    return pooled


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No report on the other tower's weights, which are not loaded, nor a bar for those that are."""
    logging = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _preprocessing(folder: Path) -> dict[str, Any]:
    """What the files say about pictures: of two forms, the older has a file of its own."""
    own, shared = (folder / one for one in _PREPROCESSING)
    if own.is_file():
        return read_json(own)
    found = read_json(shared).get("image_processor")
    if not isinstance(found, dict):
        raise ModelError(f"{shared} says nothing about pictures")
    return found


def _spec(name: str, said: dict[str, Any], sha256: str, revision: str) -> ModelSpec:
    """The spec by the preprocessing that is published; raises `ModelError` for one that is not known here."""
    try:
        resize, resized_px, size_px = _sizes(name, said)
        if not said.get("do_resize", True) or not said.get("do_rescale", True):
            raise not_supported(name, "takes pictures as they are")
        if abs((said.get("rescale_factor") or 1 / 255) * 255 - 1) > 1e-6:
            raise not_supported(name, f"multiplies values by {said['rescale_factor']}")
        normal = said.get("do_normalize", True)
        spec = ModelSpec(
            name,
            sha256,
            dim=0,
            size_px=size_px,
            crop=crop_of(size_px, resized_px, name),
            resize=resize,
            interpolation=_INTERPOLATIONS[said["resample"]],
            mean=tuple(map(float, said["image_mean"])) if normal else (0.0, 0.0, 0.0),
            std=tuple(map(float, said["image_std"])) if normal else (1.0, 1.0, 1.0),
            offset="floor",
            revision=revision,
        )
        return ModelSpec.from_fields(spec.to_fields())  # which checks the numbers
    except KeyError as error:
        raise ModelError(f"the preprocessing of {name} does not say its {error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"the preprocessing of {name} is invalid: {one_line(error)}") from None


def _sizes(name: str, said: dict[str, Any]) -> tuple[Resize, int, int]:
    """How pictures are resized, to which side, and the side of what is cut out then."""
    processor = said.get("image_processor_type") or said.get("feature_extractor_type") or ""
    cuts = said.get("do_center_crop", processor.startswith(_CUTTING))
    size = said["size"]
    if isinstance(size, int):  # as files had it before transformers 4.20
        size = {"shortest_edge": size} if cuts else {"height": size, "width": size}
    resize: Resize = "crop" if "shortest_edge" in size else "squash"
    across, down = (size["shortest_edge"],) * 2 if resize == "crop" else (size["width"], size["height"])
    cut = said["crop_size"] if cuts else {"width": across, "height": down}
    wide, high = (cut, cut) if isinstance(cut, int) else (cut["width"], cut["height"])
    if across != down or wide != high or size.get("longest_edge") or (resize == "crop" and not cuts):
        raise not_supported(name, f"takes pictures of {size} and {cut}, which are not squares of one size")
    return resize, int(across), int(wide)
