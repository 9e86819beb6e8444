"""How much of a machine with many cores, or with a GPU, does a build use?

    python benchmarks/gpu.py                               # 8 minutes: all, with a GPU and 16 cores
    python benchmarks/gpu.py --minutes 30                  # all that slower machines would leave out
    python benchmarks/gpu.py --images FOLDER --json FILE   # photographs instead of drawn flowers
    python benchmarks/gpu.py --minutes 30 --finetune groceries/   # also trains, on folders of classes
    python benchmarks/gpu.py --count 48 --gpu-count 16 --device cpu --repeats 1   # small, to try it anywhere

It makes JPEGs of 500 x 375 pixels. Each section prints a line of JSON as soon as it is done, or the error
that ended it, and the next one begins. The most wanted come first, and those for which too little time is
left are skipped. Figures are images a second, medians of the repeats:

- `steps on the GPU`, each alone; `builds on the GPU`, where `share` is that without thumbnails over the
  slower of network and decoding; `vectors`, how near they are to those of the CPU;
- `N threads`: `prepare` (reading, hashing, decoding, resizing, thumbnails) in as many processes, the network
  alone and whole builds. `share` is the build over 1 / (1 / prepare + 1 / network), what a build that did
  nothing else would reach;
- `memory`: the most that a build takes on the host, with its processes, and what verifying it finds;
- `left out: ...`, parts on the GPU without thumbnails and one step;
- `fine-tuning`: what benchmarks/finetune.py prints.

It needs, beside the repository (PYTHONPATH=src), numpy, pillow, pyarrow, onnxruntime, simplejpeg, filelock,
threadpoolctl and google-crc32c; for the GPU, PyTorch and torchvision with CUDA; for fine-tuning what that
script names.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from machine import machine, memory_mb
from PIL import Image
from sections import Figures, Sections

import lookalike
from lookalike.builder import committing, part
from lookalike.builder.build import PART_SIZE
from lookalike.builder.part import embed
from lookalike.builder.preparing import prepared
from lookalike.builder.worker_process import Work
from lookalike.builder.workers import Workers
from lookalike.demo.flowers import write_flowers
from lookalike.models.looking import decoder_of, encoded, look_at, look_on_device
from lookalike.models.model import LoadedModel
from lookalike.models.registry import load_model
from lookalike.models.torch_runner import TorchFeatures
from lookalike.parallel import cores, undisturbed
from lookalike.sources.local_file import LocalFile
from lookalike.sources.sample import Sample

WIDTH, HEIGHT, QUALITY = 500, 375, 90
BATCH, ON_GPU = 4, 256
THREADS = (1, 2, 4, 8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="a folder of JPEG photographs (default: drawn flowers)")
    parser.add_argument("--count", type=int, default=8192, help="pictures on the CPU (default: 8,192)")
    parser.add_argument("--gpu-count", type=int, default=32768, help="pictures on the GPU (default: 32,768)")
    parser.add_argument("--device", default="cuda", help="the GPU; cpu tries the same code (default: cuda)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=8, help="no section is to end later (default: 8)")
    parser.add_argument("--finetune", type=Path, action="append", default=[], help="a folder of classes")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Sections(options.json, options.minutes), Path(folder))


def measure(options: argparse.Namespace, sections: Sections, root: Path) -> None:
    """Run all sections, the most wanted first."""
    sections.run("machine", machine)
    is_there = "error" not in sections.run("device", partial(_device, options.device))
    count = max(options.count, options.gpu_count if is_there else 0)
    sections.run("pictures", partial(_pictures, root, options.images, count))
    files = sorted((root / "pictures").iterdir())
    on_gpu, on_cpu = files[: options.gpu_count], files[: options.count]
    all_cores, *fewer = [one for one in reversed(THREADS) if one <= max(2, cores())]

    def by_threads(number: int) -> None:
        sections.run(f"{number} threads", partial(_threads, root, on_cpu, number, options.repeats))

    if is_there:
        _on_gpu(options, sections, root, on_gpu)
    by_threads(all_cores)
    sections.run("memory", partial(_alone, root, _links(root, on_cpu), device="cpu"))
    if is_there:
        for name, left_out in _LEFT_OUT.items():
            sections.run(f"left out: {name}", partial(_without, root, on_gpu, options.device, left_out))
    for number in fewer:
        by_threads(number)
    for one in options.finetune:
        sections.run(f"fine-tuning on {one.name}", partial(_finetuned, one, options.device))


def _on_gpu(options: argparse.Namespace, sections: Sections, root: Path, files: Sequence[Path]) -> None:
    device, repeats, folder = options.device, options.repeats, _links(root, files)
    steps = sections.run("steps on the GPU", partial(_steps, load_model(device=device), files, repeats))
    sections.run("builds on the GPU", partial(_builds, root, folder, len(files), options, steps))
    sections.run("memory with the GPU", partial(_alone, root, folder, device=device))
    sections.run("vectors", partial(_cosines, root, _links(root, files[:512]), device))


def _device(wish: str) -> Figures:
    """The device and whether it decodes; raises `LookalikeError` if no model runs there."""
    decoder = decoder_of(load_model(device=wish))
    if not wish.startswith("cuda"):
        return {"device": wish, "decodes JPEGs": False}
    import torch

    name = torch.cuda.get_device_name(wish)
    return {"device": wish, "name": name, "torch": torch.__version__, "decodes JPEGs": bool(decoder)}


def _pictures(root: Path, images: Path | None, count: int) -> Figures:
    """Make `count` JPEGs of one size, of which some show the same; no two files are equal."""
    if images is None:
        images = root / "drawn"
        write_flowers(images, count=min(count, 300))
    originals = sorted(images.rglob("*.jp*g"))
    target = root / "pictures"
    target.mkdir()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        sizes = list(pool.map(partial(_picture, target, originals), range(count), chunksize=64))
    return {"count": count, "width": WIDTH, "height": HEIGHT, "mean bytes": sum(sizes) / count}


def _picture(folder: Path, originals: Sequence[Path], number: int) -> int:
    path = folder / f"{number:06d}.jpg"
    with Image.open(originals[number % len(originals)]) as image:
        made = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    made.putpixel((0, 0), (number & 255, number >> 8 & 255, 99))
    made.save(path, quality=QUALITY)
    return path.stat().st_size


def _samples(files: Sequence[Path]) -> list[Sample]:
    return [_sample(file, file.stat().st_size) for file in files]


def _sample(file: Path, size_bytes: int) -> Sample:
    return Sample(file.name, file.as_uri(), size_bytes, 0, LocalFile(os.fsencode(file), size_bytes))


def _rate(work: Callable[[], object], count: int, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return count / statistics.median(seconds)


# The CPU


def _threads(root: Path, files: Sequence[Path], threads: int, repeats: int) -> Figures:
    model = load_model()
    some = files[: max(BATCH * threads, len(files) * threads // THREADS[-1])]
    many = [np.stack([model.pixels(file) for file in files[:BATCH]])] * (len(some) // BATCH)
    with ThreadPoolExecutor(threads) as pool:
        network = _rate(partial(_all, pool, model.features, many), BATCH * len(many), repeats)
    with ProcessPoolExecutor(threads, multiprocessing.get_context("spawn")) as workers:
        chunks = [some[at::threads] for at in range(threads)]
        _all(workers, _prepare, [chunk[:BATCH] for chunk in chunks])
        prepare = _rate(partial(_all, workers, _prepare, chunks), len(some), repeats)
    build = _rate(partial(_build, root, _links(root, some), threads=threads), len(some), repeats)
    share = build * (1 / prepare + 1 / network)
    return {"prepare": prepare, "network": network, "build": build, "share": share}


def _prepare(files: Sequence[Path]) -> int:
    """Everything but the network, as a build does it."""
    work = Work(load_model().spec, max_megapixels=200.0, thumbnails=True)
    return len(prepared(_samples(files), work=work, workers=Workers(work, threads=1, count=0)))


def _all(pool: Executor, work: Callable[[Any], object], items: Sequence[Any]) -> None:
    list(pool.map(work, items))


def _links(root: Path, files: Sequence[Path]) -> Path:
    folder = Path(tempfile.mkdtemp(dir=root))
    for file in files:
        (folder / file.name).hardlink_to(file)
    return folder


def _build(root: Path, folder: Path, **options: Any) -> list[str]:
    """Build a collection and throw it away; returns the problems that verifying finds, if asked to."""
    verify = options.pop("verify", False)
    with tempfile.TemporaryDirectory(dir=root) as target:
        options.setdefault("device", "cpu")
        collection = lookalike.build(folder, Path(target) / "c.lookalike", **options)
        return list(collection.verify()) if verify else []


def _alone(root: Path, folder: Path, **options: Any) -> Figures:
    """The most memory of a build in a process of its own, and the problems that verifying finds."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_watched, root, folder, options).result()


def _watched(root: Path, folder: Path, options: Figures) -> Figures:
    megabytes, is_done = [memory_mb()], threading.Event()

    def watch() -> None:
        while not is_done.wait(0.05):
            megabytes.append(memory_mb())

    with ThreadPoolExecutor(1) as pool:
        pool.submit(watch)
        try:
            problems = _build(root, folder, verify=True, **options)
        finally:
            is_done.set()
    return {"megabytes": max(megabytes), "problems": problems}


# The GPU


def _steps(model: LoadedModel, files: Sequence[Path], repeats: int) -> Figures:
    """Each step by itself, on files that are in memory."""
    data, found = [file.read_bytes() for file in files[: 4 * ON_GPU]], Figures()
    given = _batch(model, min(ON_GPU, len(data)))
    calls = max(1, len(data) // len(given))
    for name, count, work in (
        ("network", calls * len(given), lambda: [model.features(given) for _ in range(calls)]),
        ("decode and resize", len(data), lambda: _looked(model, data, thumbnails=False)),
        ("decode, resize and thumbnails", len(data), lambda: _looked(model, data, thumbnails=True)),
    ):
        work()
        found[name] = _rate(work, count, repeats)
    return found


def _batch(model: LoadedModel, count: int) -> Any:
    """Pixels of noise, on the device if that is a GPU."""
    shape = (count, model.size_px, model.size_px, 3)
    given: Any = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if model.device.startswith("cuda"):
        import torch

        given = torch.from_numpy(given).to(model.device)
    return given


def _looked(model: LoadedModel, data: Sequence[bytes], thumbnails: bool) -> None:
    decoder = decoder_of(model)
    for at in range(0, len(data), ON_GPU):
        some = data[at : at + ON_GPU]
        if decoder:
            files = [one for one in (encoded(file, 200.0) for file in some) if one]
            look_on_device(files, model.spec, decoder, thumbnails=thumbnails)
        else:
            look_at(some, model.spec, max_megapixels=200.0, thumbnails=thumbnails)


def _builds(root: Path, folder: Path, count: int, options: argparse.Namespace, steps: Figures) -> Figures:
    build = partial(_build, root, folder, device=options.device)
    build()  # warm
    half: Figures = {"thumbnails": False, "threads": max(1, cores() // 2)}
    found = {
        name: _rate(partial(build, **chosen), count, options.repeats)
        for name, chosen in (
            ("with thumbnails", {"thumbnails": True}),
            ("without", {"thumbnails": False}),
            ("without, by half the threads", half),
        )
    }
    if "error" in steps:
        return found
    return {**found, "share": found["without"] / min(steps["network"], steps["decode and resize"])}


def _without(
    root: Path, files: Sequence[Path], device: str, left_out: Callable[[], AbstractContextManager[Any]]
) -> Figures:
    with left_out():
        return {"rate": _rate(partial(_parts, root, files, load_model(device=device)), len(files), 1)}


def _parts(root: Path, files: Sequence[Path], model: LoadedModel) -> None:
    """A build without listing and deriving: samples to committed parts."""
    options: Figures = {
        "count": len(files),
        "max_megapixels": 200.0,
        "thumbnails": False,
        "threads": cores(),
        "part_size": PART_SIZE,
    }
    outcomes = embed(_samples(files), model, **options)
    with tempfile.TemporaryDirectory(dir=root) as target, closing(outcomes), undisturbed():
        committing.commit_parts(
            Path(target),
            (),
            outcomes,
            lambda some: part.piece_of(some, model),
            part_size=PART_SIZE,
            still_ours=lambda: None,
        )


@contextmanager
def _with(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _no_network(_: Any, pixels: Any) -> np.ndarray:
    return np.ones((len(pixels), 1280), np.float32)


def _no_writing() -> AbstractContextManager[None]:
    return _with(committing, "commit_part", lambda *_: None)


@contextmanager
def _no_tables() -> Iterator[None]:
    def counted(some: Any, _: Any) -> part.MadePart:
        return part.MadePart(pa.table({"row": np.zeros(len(some))}), [], [])

    with _with(part, "piece_of", counted), _no_writing():
        yield


_LEFT_OUT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": nullcontext,
    "the network": lambda: _with(TorchFeatures, "__call__", _no_network),  # on a GPU
    "Parquet, tar and writing": _no_writing,
    "tags, tables and all of these": _no_tables,
}


def _cosines(root: Path, folder: Path, device: str) -> Figures:
    vectors = [
        lookalike.build(folder, Path(tempfile.mkdtemp(dir=root)) / "c.lookalike", device=one).embeddings()
        for one in (device, "cpu")
    ]
    cosines = (vectors[0] * vectors[1]).sum(axis=1)
    return {"least cosine": float(cosines.min()), "mean cosine": float(cosines.mean())}


def _finetuned(folder: Path, device: str) -> Figures:
    script = Path(__file__).with_name("finetune.py")
    words = [sys.executable, str(script), "--folder", str(folder), "--device", device]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return {"said": done.stdout.splitlines(), **({"error": done.stderr[-500:]} if done.returncode else {})}


if __name__ == "__main__":
    main()
