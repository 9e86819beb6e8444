"""How fast is a build, compared with the loop that a user would write and with the limits of the machine?

    python tools/build_model.py --float32 lite0-float32.onnx      # once; needs tools/requirements.txt
    python benchmarks/embed.py --float32 lite0-float32.onnx

In one run and on the same files, it measures in images a second:

- `build`: `lookalike.build` with everything it does: listing, reading, hashing, decoding, embedding,
  thumbnails, writing, and starting threads;
- `loop`: Pillow and onnxruntime with the float32 network, all cores, nothing written;
- `decode` and `infer`: decoding alone and inference alone, on all cores. A build that did nothing else would
  take the time of both, so this is the upper limit.

The files are photographs (`--images`, by default drawn flowers), and the same enlarged to 500 x 375 and
4000 x 3000 pixels.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

import lookalike
from lookalike.demo.flowers import write_flowers
from lookalike.images.decoding import decode
from lookalike.images.fit import fit

BATCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--float32", required=True, metavar="FILE", help="from tools/build_model.py --float32"
    )
    parser.add_argument("--images", type=Path, help="a folder of JPEG photographs (default: drawn flowers)")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{_cpu()}, {os.cpu_count()} cores; images/s, medians of {options.repeats}")
    print(f"{'':10}{'build':>8}{'loop':>8}{'decode':>8}{'infer':>8}{'build/loop':>12}{'build/ceiling':>15}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, files in _image_sets(root, options.images).items():
            _measure(name, files, root, options.float32, options.repeats)


def _image_sets(root: Path, images: Path | None) -> dict[str, list[Path]]:
    if images is None:
        images = root / "drawn"
        write_flowers(images, count=400)
    originals = sorted(images.rglob("*.jp*g"))
    _copy(originals, root / "as is", None)
    _copy(originals, root / "500x375", (500, 375))
    _copy(originals[:120], root / "12 MP", (4000, 3000))
    return {name: sorted((root / name).iterdir()) for name in ("as is", "500x375", "12 MP")}


def _copy(files: list[Path], folder: Path, size: tuple[int, int] | None) -> None:
    folder.mkdir()
    for file in files:
        target = folder / file.name
        if size is None:
            target.write_bytes(file.read_bytes())
        else:
            Image.open(file).convert("RGB").resize(size, Image.Resampling.BICUBIC).save(target, quality=90)


def _measure(name: str, files: list[Path], root: Path, float32: str, repeats: int) -> None:
    model = lookalike.load_model()
    data = [file.read_bytes() for file in files]
    pixels = [fit(decode(one, model.cover_px).pixels, model.size_px, model.crop) for one in data[:64]]
    batches = [np.stack(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)]
    contenders: dict[str, tuple[int, Callable[[], object]]] = {
        "build": (len(files), lambda: _build(files[0].parent, root)),
        "loop": (len(files), lambda: _plain_loop(files, float32)),
        "decode": (
            len(files),
            lambda: _on_all_cores(
                lambda one: fit(decode(one, model.cover_px).pixels, model.size_px, model.crop), data
            ),
        ),
        "infer": (len(pixels) * 3, lambda: _on_all_cores(model.embed_pixels, batches * 3)),
    }
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    for _ in range(repeats):  # one after another, so that a slow minute of the machine affects all alike
        for contender, (_, run) in contenders.items():
            started = time.perf_counter()
            run()
            seconds[contender].append(time.perf_counter() - started)
    each_s = {one: statistics.median(seconds[one]) / contenders[one][0] for one in contenders}
    ceiling = 1 / (each_s["decode"] + each_s["infer"])
    rates = "".join(f"{1 / each_s[one]:8.0f}" for one in contenders)
    ratio, part = each_s["loop"] / each_s["build"], 1 / each_s["build"] / ceiling
    print(f"{name:10}{rates}{ratio:12.2f}{part:15.2f}", flush=True)


def _build(images: Path, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root) as target:
        lookalike.build(images, Path(target) / "c.lookalike")


def _plain_loop(files: list[Path], float32: str) -> None:
    """The loop that the documentation of Pillow and onnxruntime suggests."""
    session = onnxruntime.InferenceSession(float32, providers=["CPUExecutionProvider"])
    for start in range(0, len(files), BATCH):
        batch = []
        for file in files[start : start + BATCH]:
            with Image.open(file) as image:
                rgb = image.convert("RGB")
            side = min(rgb.size)
            left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
            box = (left, top, left + side, top + side)
            batch.append(np.asarray(rgb.resize((224, 224), Image.Resampling.BICUBIC, box=box)))
        (vectors,) = session.run(None, {"pixels": np.stack(batch)})
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)


def _on_all_cores(work: Callable[[Any], object], items: list[Any]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, items))


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    name = next((line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "CPU")
    extensions = [flag for flag in ("avx2", "avx512_vnni", "avx_vnni") if f" {flag}" in text]
    return f"{name} ({', '.join(extensions)})"


if __name__ == "__main__":
    main()
