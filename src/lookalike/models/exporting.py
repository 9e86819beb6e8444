"""Makes the folder of a published model, which then needs onnxruntime alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.errors import ExtraError, ModelError, one_line
from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel, unit
from lookalike.models.model_folder import check_free, making_folder
from lookalike.models.onnx_model import DESCRIPTION, NETWORK, load, to_description
from lookalike.models.onnx_tables import quantise_tables
from lookalike.models.onnx_weights import checksum_of, files_of
from lookalike.models.published import is_published, read_published
from lookalike.models.runner import Floats
from lookalike.models.text_onnx import TOKENIZER, TOWER
from lookalike.models.torch_network import TorchNetwork, to_model
from lookalike.models.torch_text import TorchText, options_of, saved_tokenizer, torch_tower

if TYPE_CHECKING:
    import torch

_OPSET = 17  # the last that the exporter without onnxscript writes in full
# The least cosine to PyTorch's vectors. Floats differ by rounding; integers lose more where weights are few.
_LEAST_COSINE, _LEAST_COSINE_INT8 = 0.9999, 0.95
_TEXTS = ("a daisy", "a photo of a red car at night", "two children who fly a kite", "winter")


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that was exported, and the least cosine of its vectors to those of PyTorch.

    `text_cosine` is that of words, None for a model without. `bytes` is what the folder takes.
    """

    model: LoadedModel
    cosine: float
    text_cosine: float | None
    bytes: int


def export_model(name: str, out: str | Path, *, int8: bool = False) -> Exported:
    """Write a published model into the folder `out`: `image.onnx`, `model.json`, and its words, if any.

    With `int8` the weights of its matrix products have 8 bits: a transformer is then a quarter as large.
    Raises `ModelError` if there is something at `out`, if the model cannot be exported, or gives other
    vectors then; nothing is left behind. Needs the libraries of the model, and for `int8` the package onnx.
    """
    folder = Path(out)
    if not is_published(name):
        raise ModelError(
            f"{name!r} is not a published model", "export one such as dinov2-small, timm:NAME or hf:ORG/NAME"
        )
    check_free(folder)
    network = read_published(name)
    try:
        with making_folder(folder) as made:
            cosine, text_cosine = _write(network, made, int8)
            size = sum(path.stat().st_size for path in made.iterdir())
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from None
    return Exported(load(folder, "cpu"), cosine, text_cosine, size)


def _write(network: TorchNetwork, folder: Path, int8: bool) -> tuple[float, float | None]:
    """Write the files, hold them against PyTorch, and return the least cosines of pictures and of words."""
    spec, text = network.spec, network.text() if network.text else None
    pixels = _drawn(spec.size_px)
    before = to_model(replace(network, text=None), "cpu")
    _export(network.image, (3, spec.size_px, spec.size_px), folder / NETWORK, int8)
    plain = spec.name.partition(":")[2].replace("/", "-")
    checksum = checksum_of(files_of(folder / NETWORK))
    name = f"{plain}-int8" if int8 else plain
    own = replace(spec, name=name, sha256=checksum, revision="", dim=before.dim)
    more: dict[str, Any] = {"source": {"name": spec.name, "revision": spec.revision, "sha256": spec.sha256}}
    if text:
        _export(text.module, (text.length,), folder / TOWER, int8, any_length=text.is_causal)
        (folder / TOKENIZER).write_text(saved_tokenizer(text), "utf-8")
        more["text"] = options_of(text)
    (folder / DESCRIPTION).write_bytes(to_description(own, **more))
    after = load(folder, "cpu")
    (folder / DESCRIPTION).write_bytes(to_description(after.spec, **more))
    least = _LEAST_COSINE_INT8 if int8 else _LEAST_COSINE
    cosine = _least_cosine(before.embed_pixels(pixels), after.embed_pixels(pixels), "pictures", least)
    if text is None or after.text_vector is None:
        return cosine, None
    return cosine, _words_cosine(text, after.text_vector, least)


def _words_cosine(text: TorchText, text_vector: Callable[[str], Floats], least: float) -> float:
    before = torch_tower(lambda: text, "", "the text tower").vectors(_TEXTS)
    return _least_cosine(before, np.stack([text_vector(one) for one in _TEXTS]), "words", least)


def _export(
    module: torch.nn.Module, shape: Sequence[int], path: Path, int8: bool, *, any_length: bool = False
) -> None:
    """Write a module that takes a batch of arrays of a shape: pictures of floats, or texts of tokens.

    With `any_length`, texts may have fewer tokens.
    """
    import torch

    kind = torch.float32 if len(shape) == 3 else torch.int64
    given = torch.zeros((2, *shape), dtype=kind)
    names = ("pixels", "features") if len(shape) == 3 else ("input_ids", "features")
    axes = {name: {0: "batch"} for name in names}
    if any_length:
        axes[names[0]][1] = "tokens"
    with _quiet():
        try:
            torch.onnx.export(
                module,
                (given,),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=[names[0]],
                output_names=[names[1]],
                dynamic_axes=axes,
            )
        except Exception as error:  # whatever an operator or the exporter raises
            if isinstance(error, OSError) and error.errno:  # a disk that is full
                raise
            raise ModelError(
                f"the model cannot be exported to ONNX: {one_line(error)[:300]}",
                "use it as it is, with PyTorch",
            ) from error
        if int8:
            _quantise(path)


def _quantise(path: Path) -> None:
    """Give the weights of matrix products 7 of 8 bits, which every CPU multiplies exactly, and tables 8."""
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise ExtraError(f"integers need the package onnx ({one_line(error)})", "export") from None
    whole = path.with_suffix(".float")
    path.rename(whole)
    quantize_dynamic(
        whole,
        path,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )
    whole.unlink()
    model = onnx.load(path)
    quantise_tables(model.graph)
    onnx.save(model, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of a trace, which what is checked afterwards answers."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _drawn(size_px: int) -> Pixels:
    """Eight pictures of waves, from coarse to fine, uint8 (8, S, S, 3): the same each time."""
    random = np.random.default_rng(0)
    at = np.linspace(0, 1, size_px, dtype=np.float32)
    across, down = at[None, :, None], at[:, None, None]
    waves = [
        np.sin(2**fine * (across * random.normal(0, 3, 3) + down * random.normal(0, 3, 3))) * 100
        for fine in range(8)
    ]
    return np.clip(np.stack(waves) + random.normal(128, 20, (8, 1, 1, 3)), 0, 255).astype(np.uint8)


def _least_cosine(before: Floats, after: Floats, what: str, least: float) -> float:
    cosine = float(np.sum(unit(before) * unit(after), axis=1).min())
    if cosine < least:
        raise ModelError(
            f"exported, it gives other vectors of {what}: the least cosine is {cosine:.4f}, not {least}",
            "use it as it is, with PyTorch, or export it without `int8`",
        )
    return min(cosine, 1.0)
