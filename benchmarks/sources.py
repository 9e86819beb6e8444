"""Does it matter where images are read from? Builds from each kind of source, and packs into it.

    python benchmarks/sources.py [--images FOLDER] [--count 2000] [--repeats 3]

Reads the same images from a folder, a tar, TFRecord and Parquet, one after another in each repeat, so that a
slow minute of the machine affects all alike:

- `pack`: MB/s of encoded images, from the folder into this format;
- `list`: images/s of a listing alone, with the metadata next to the images;
- `read`: MB/s of reading every image, in order, by one thread;
- `build`: images/s of a whole build with the model `colors`, the cheapest, so that reading counts most;
- `network`: images/s of a whole build with the built-in network.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import lookalike
from lookalike.acquire.pack import pack
from lookalike.demo.flowers import write_flowers
from lookalike.sources.opening import open_source
from lookalike.sources.sample import Sample

FORMATS = ("tar", "tfrecord", "parquet")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="a folder of images (default: drawn flowers)")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        images, count, megabytes = _copies(root, options.images, options.count)
        print(f"{count:,} images, {megabytes:.1f} MB, {os.cpu_count()} cores; medians of {options.repeats}")
        rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(options.repeats):
            for name in ("folder", *FORMATS):
                source = images if name == "folder" else root / name
                if name != "folder":
                    shutil.rmtree(source, ignore_errors=True)
                    seconds = _seconds(lambda into=source, format_=name: pack(images, into, format=format_))
                    rates[name]["pack"].append(megabytes / seconds)
                rates[name]["list"].append(
                    count / _seconds(lambda at=source: list(open_source(at).samples()))
                )
                samples = [one for one in open_source(source).samples() if isinstance(one, Sample)]
                rates[name]["read"].append(
                    megabytes / _seconds(lambda all_=samples: [one.read() for one in all_])
                )
                del samples
                for column, model in (("build", "colors"), ("network", "efficientnet-lite0")):
                    rates[name][column].append(
                        count / _seconds(lambda at=source, m=model: _build(at, m, root))
                    )
        columns = ("pack", "list", "read", "build", "network")
        print(f"{'':10}{'pack MB/s':>12}{'list /s':>12}{'read MB/s':>12}{'build /s':>12}{'network /s':>12}")
        for name, measured in rates.items():
            cells = [f"{statistics.median(measured[one]):,.0f}" if one in measured else "" for one in columns]
            print(f"{name:10}{''.join(f'{cell:>12}' for cell in cells)}")


def _copies(root: Path, images: Path | None, count: int) -> tuple[Path, int, float]:
    """Copy `count` files into one folder, repeating the originals; returns it, their number and megabytes."""
    if images is None:
        images = root / "drawn"
        write_flowers(images, count=min(count, 400))
    originals = sorted(path for path in images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    target = root / "folder"
    target.mkdir()
    size = 0
    for number, original in enumerate(islice(cycle(originals), count)):
        size += (target / f"{number:06d}{original.suffix}").write_bytes(original.read_bytes())
    return target, count, size / 1e6


def _build(source: Path, model: str, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root) as target:
        lookalike.build(source, Path(target) / "c.lookalike", model=model)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
