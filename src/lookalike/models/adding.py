"""Making the folder of a model from an ONNX file and what its publisher says about pictures."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lookalike.checking import checked
from lookalike.errors import ModelError
from lookalike.images.fit import Interpolation
from lookalike.models.model import LoadedModel
from lookalike.models.model_folder import check_free, making_folder
from lookalike.models.onnx_model import DESCRIPTION, NETWORK, described, to_description
from lookalike.models.onnx_weights import files_of
from lookalike.models.published import is_published
from lookalike.models.registry import check_name, load_model
from lookalike.models.spec import Channels, Pooling, Resize


@checked
def add_model(
    network: str | Path,
    *,
    out: str | Path,
    name: str | None = None,
    size_px: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    crop: float = 1.0,
    resize: Resize = "crop",
    interpolation: Interpolation = "bicubic",
    channels: Channels = "RGB",
    output: str = "",
    pooling: Pooling = "",
) -> LoadedModel:
    """Make the folder `out` of an ONNX file, after trying it on grey pictures; returns the model.

    `name` is the file's unless given, and `size_px` what the file says. The other arguments are as in
    `ModelSpec`; without `mean` and `std`, a network of floats gets values from 0 to 1.
    Raises `ModelError` if the file is not such a network or does not fit what is said of it, and if there is
    something at `out`.
    """
    file, folder = Path(network), Path(out)
    check_name(name or file.stem)
    given: dict[str, Any] = {
        "name": name or file.stem,
        "size_px": size_px,
        "mean": None if mean is None else list(mean),
        "std": None if std is None else list(std),
        "crop": crop,
        "resize": resize,
        "interpolation": interpolation,
        "channels": channels,
        "output": output,
        "pooling": pooling,
    }
    fields = {field: value for field, value in given.items() if value is not None}
    check_free(folder)
    if not file.exists() and is_published(str(network)):
        raise ModelError(
            f"{network} is a published model and no file",
            f"`lookalike.export_model({str(network)!r}, out=folder)` makes its folder",
        )
    spec = described(fields, file, file).spec
    try:
        with making_folder(folder) as made:
            _copy(file, made)
            (made / DESCRIPTION).write_bytes(to_description(spec))
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}") from None
    return load_model(f"{folder}/")


def _copy(network: Path, folder: Path) -> None:
    """Copy a network and the files that it takes weights from, which keep their names."""
    for file in files_of(network):
        target = folder / (NETWORK if file == network else file.relative_to(network.parent))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise ModelError(f"{network} takes weights from a file called {target.name}", "rename that file")
        shutil.copyfile(file, target)
