"""How much of a machine with many cores, or with a GPU, does a build use?

    python benchmarks/gpu.py                               # all: under 8 minutes with a GPU and 16 cores
    python benchmarks/gpu.py --images FOLDER --json FILE   # photographs instead of drawn flowers
    python benchmarks/gpu.py --count 96 --repeats 1        # small, to try it on any machine

It makes JPEGs of 500 x 375 pixels and prints images a second, medians of the repeats:

- `prepare` (reading, hashing, decoding, resizing, thumbnails) in threads and in processes, the network alone
  and whole builds, with 1, 2, 4, 8 and 16 threads. The last column is the build over
  1 / (1 / prepare in processes + 1 / network), what a build that did nothing else would reach;
- with a GPU: the network, nvJPEG and resizing alone; whole builds with and without thumbnails; the same with
  each step left out; the most memory of the host; and how near the vectors are to those of the CPU.

It needs, beside the repository (PYTHONPATH=src), numpy, pillow, pyarrow, onnxruntime, simplejpeg, filelock
and google-crc32c; for the GPU, PyTorch and torchvision with CUDA.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from machine import machine
from PIL import Image

import lookalike
from lookalike.builder import part
from lookalike.builder.committing import commit_part
from lookalike.builder.part import embed, part_of
from lookalike.demo.flowers import write_flowers
from lookalike.models import looking
from lookalike.models.looking import decoder_of, look_at, look_on_device
from lookalike.models.model import LoadedModel
from lookalike.models.registry import load_model
from lookalike.models.torch_runner import TorchFeatures
from lookalike.sources.sample import Sample
from lookalike.storage.parts import list_parts

WIDTH, HEIGHT, QUALITY = 500, 375, 90
BATCH, ON_GPU = 4, 256
THREADS = (1, 2, 4, 8, 16)

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="a folder of JPEG photographs (default: drawn flowers)")
    parser.add_argument("--count", type=int, default=4096, help="pictures on the CPU (default: 4,096)")
    parser.add_argument("--gpu-count", type=int, default=16384, help="pictures on the GPU (default: 16,384)")
    parser.add_argument("--device", default="cuda", help="the GPU; cpu tries the same code (default: cuda)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    facts = machine()
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        found: Figures = {"machine": facts}
        gpu = _device(options.device)
        count = max(options.count, options.gpu_count if gpu else 0)
        with timed("making pictures"):
            files = _pictures(root, options.images, count)
        size = np.mean([file.stat().st_size for file in files])
        print(f"{len(files):,} files of {WIDTH} x {HEIGHT}, {size:,.0f} bytes")
        found["cpu"] = _cpu(root, files[: options.count], options.repeats, int(facts["cores"]))
        if gpu:
            found["gpu"] = _gpu(root, files[: options.gpu_count], gpu, options.repeats)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def _device(wish: str) -> str:
    """The device, if a model runs there; says so if not."""
    try:
        load_model(device=wish)
    except lookalike.LookalikeError as error:
        print(f"no figures of a GPU: {error}")
        return ""
    return wish


@contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"({what}: {time.perf_counter() - started:.0f} s)", flush=True)


def _pictures(root: Path, images: Path | None, count: int) -> list[Path]:
    """`count` JPEGs of one size, of which some show the same; no two files are equal."""
    if images is None:
        images = root / "drawn"
        write_flowers(images, count=min(count, 300))
    originals = sorted(images.rglob("*.jp*g"))
    target = root / "pictures"
    target.mkdir()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        work = partial(_picture, target, originals)
        return list(pool.map(work, range(count), chunksize=64))


def _picture(folder: Path, originals: Sequence[Path], number: int) -> Path:
    path = folder / f"{number:06d}.jpg"
    with Image.open(originals[number % len(originals)]) as image:
        made = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    made.putpixel((0, 0), (number & 255, number >> 8 & 255, 99))
    made.save(path, quality=QUALITY)
    return path


def _samples(files: Sequence[Path]) -> list[Sample]:
    return [Sample(f.name, f.as_uri(), f.stat().st_size, 0, f.read_bytes) for f in files]


def _rate(work: Callable[[], object], count: int, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return count / statistics.median(seconds)


# The CPU


def _prepare(files: Sequence[Path]) -> int:
    """Everything but the network, as a build does it."""
    look = partial(look_at, spec=load_model().spec, max_megapixels=200.0)
    return sum(1 for _ in part._prepared(_samples(files), look))


def _cpu(root: Path, files: Sequence[Path], repeats: int, cores: int) -> list[Figures]:
    model, found = load_model(), []
    pixels = np.stack([model.pixels(file) for file in files[:BATCH]])
    print(f"\n{'threads':8}{'prepare':>10}{'processes':>11}{'network':>10}{'build':>9}{'share':>8}")
    for threads in [one for one in THREADS if one <= max(2, cores)]:
        some = files[: max(BATCH * threads, len(files) * threads // THREADS[-1])]
        batches = [some[at : at + BATCH] for at in range(0, len(some), BATCH)]
        many = [pixels] * len(batches)
        with ThreadPoolExecutor(threads) as pool:
            prepare = _rate(partial(_all, pool, _prepare, batches), len(some), repeats)
            network = _rate(partial(_all, pool, model.features, many), len(some), repeats)
        with ProcessPoolExecutor(threads, multiprocessing.get_context("spawn")) as workers:
            chunks = [some[at::threads] for at in range(threads)]
            _all(workers, _prepare, [chunk[:BATCH] for chunk in chunks])
            processes = _rate(partial(_all, workers, _prepare, chunks), len(some), repeats)
        folder = _links(root, some)
        build = _rate(partial(_build, root, folder, threads=threads), len(some), repeats)
        share = build * (1 / processes + 1 / network)
        row = {"prepare": prepare, "processes": processes, "network": network, "build": build}
        found.append({"threads": threads, **row, "share": share})
        numbers = f"{prepare:10.0f}{processes:11.0f}{network:10.0f}{build:9.0f}{share:8.2f}"
        print(f"{threads:<8}{numbers}", flush=True)
    with timed("memory"):
        peak = _alone(root, folder, device="cpu")
    print(f"most memory of a build with {found[-1]['threads']} threads: {peak['megabytes']:.0f} MB")
    return [*found, {"megabytes": peak["megabytes"]}]


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
    """A build in a process of its own: its most memory, and the time of a second build there."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, root, folder, options).result()


def _measured(root: Path, folder: Path, options: Figures) -> Figures:
    started = time.perf_counter()
    _build(root, folder, **options)
    first = time.perf_counter()
    problems = _build(root, folder, verify=True, **options)
    whole = {"first_s": first - started, "problems": problems}
    return {**whole, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


# The GPU


def _gpu(root: Path, files: Sequence[Path], device: str, repeats: int) -> Figures:
    model = load_model(device=device)
    folder = _links(root, files)
    found: Figures = {"device": _name(device), "decoder": bool(decoder_of(model))}
    print(f"\n{found['device']}; JPEGs are decoded {'there' if found['decoder'] else 'on the CPU'}")
    found |= _alone_on_gpu(model, [file.read_bytes() for file in files[: 4 * ON_GPU]], repeats)
    _build(root, folder, device=device)  # warm
    for name, thumbnails in (("build", True), ("build without thumbnails", False)):
        work = partial(_build, root, folder, device=device, thumbnails=thumbnails)
        _print(found, name, _rate(work, len(files), repeats))
    for name, left_out in _LEFT_OUT.items():
        with left_out():
            rate = _rate(partial(_parts, root, files, model), len(files), repeats)
        _print(found, f"parts without {name}", rate)
    share = found["build without thumbnails"] / min(found["network"], found["decode and resize"])
    print(f"build without thumbnails over the slower of decoding and network: {share:.2f}")
    found["share"] = share
    alone = _alone(root, folder, device=device)
    print(f"most memory of the host: {alone['megabytes']:.0f} MB; problems found: {alone['problems']}")
    cosines = _cosines(root, _links(root, files[:512]), device)
    print(f"cosine to the vectors of the CPU: least {cosines.min():.4f}, mean {cosines.mean():.4f}")
    return {**found, **alone, "least cosine": float(cosines.min()), "mean cosine": float(cosines.mean())}


def _print(found: Figures, name: str, rate: float) -> None:
    found[name] = rate
    print(f"{name:42}{rate:10,.0f} images/s", flush=True)


def _name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _alone_on_gpu(model: LoadedModel, data: Sequence[bytes], repeats: int) -> Figures:
    """Each step by itself, on files that are in memory."""
    found: Figures = {}
    given: Any = np.zeros((min(ON_GPU, len(data)), model.size_px, model.size_px, 3), np.uint8)
    if model.device.startswith("cuda"):
        import torch

        given = torch.from_numpy(given).to(model.device)
    calls = max(1, len(data) // len(given))
    for name, work in {
        "network": lambda: [model.features(given) for _ in range(calls)],
        "decode and resize": lambda: _looked(model, data, thumbnails=False),
        "decode, resize and thumbnails": lambda: _looked(model, data, thumbnails=True),
    }.items():
        work()
        _print(found, name, _rate(work, calls * len(given) if name == "network" else len(data), repeats))
    return found


def _looked(model: LoadedModel, data: Sequence[bytes], thumbnails: bool) -> None:
    options: Figures = {"spec": model.spec, "max_megapixels": 200.0, "thumbnails": thumbnails}
    decoder, look = decoder_of(model), partial(look_at, **options)
    if decoder:
        look = partial(look_on_device, decoder=decoder, on_cpu=look, **options)
    for at in range(0, len(data), ON_GPU):
        look(data[at : at + ON_GPU])


def _parts(root: Path, files: Sequence[Path], model: LoadedModel, size: int = 1024) -> None:
    """A build without listing and deriving: samples to committed parts."""
    outcomes = embed(_samples(files), model, max_megapixels=200.0, threads=_cores(), part_size=size)
    with tempfile.TemporaryDirectory(dir=root) as target:
        for number in range(-(-len(files) // size)):
            some = [next(outcomes) for _ in range(min(size, len(files) - number * size))]
            if part_of is part.part_of:
                commit_part(Path(target), number, part.part_of(some, model))


def _cores() -> int:
    return int(machine()["cores"])


@contextmanager
def _with(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _no_hash(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(hexdigest=lambda: "0" * 64)


def _no_network(_: Any, pixels: Any) -> np.ndarray:
    return np.ones((len(pixels), 1280), np.float32)


def _small_thumbnail(_: Any) -> bytes:
    return b"\xff\xd8\xff\xd9"


_LEFT_OUT: dict[str, Callable[[], Any]] = {
    "leaving anything out": lambda: _with(part, "hashlib", part.hashlib),
    "hashing": lambda: _with(part, "hashlib", SimpleNamespace(sha256=_no_hash)),
    "encoding thumbnails": lambda: _with(looking, "encode_thumbnail", _small_thumbnail),
    "the network": lambda: _with(TorchFeatures, "__call__", _no_network),  # on a GPU
    "tables, Parquet and tar": lambda: _with(part, "part_of", None),
}


def _cosines(root: Path, folder: Path, device: str) -> np.ndarray:
    vectors = []
    for one in (device, "cpu"):
        collection = lookalike.build(folder, Path(tempfile.mkdtemp(dir=root)) / "c.lookalike", device=one)
        assert next(made.made_by() for made in list_parts(collection.path))["device"] in (one, "cpu")
        vectors.append(collection.embeddings())
    return (vectors[0] * vectors[1]).sum(axis=1)


if __name__ == "__main__":
    main()
