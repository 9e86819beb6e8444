"""What does Lookalike cost besides images a second: memory, start-up, a build with nothing to do?

    python benchmarks/footprint.py [--images FOLDER]

Memory is the peak resident set of a whole `lookalike build` process, at 1,000 and at 20,000 images (hard
links to the same files). Times are medians of five whole processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from lookalike.demo.flowers import write_flowers

LOOKALIKE = (sys.executable, "-m", "lookalike")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="a folder of images (default: drawn flowers)")
    parser.add_argument("--counts", type=int, nargs=2, default=[1_000, 20_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        images = options.images or root / "drawn"
        if options.images is None:
            write_flowers(images, count=400)
        originals = sorted(path for path in images.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))
        print(f"import lookalike            {_seconds([sys.executable, '-c', 'import lookalike']):6.2f} s")
        print(f"lookalike --help            {_seconds([*LOOKALIKE, '--help']):6.2f} s")
        for count in options.counts:
            collection = root / f"{count}.lookalike"
            linked = _links(originals, root / str(count), count)
            started = time.perf_counter()
            megabytes = _peak_mb([*LOOKALIKE, "build", str(linked), "-c", str(collection)])
            seconds = time.perf_counter() - started
            print(f"build of {count:6,} images      {seconds:6.1f} s, peak {megabytes:.0f} MB")
            again = _seconds([*LOOKALIKE, "build", str(linked), "-c", str(collection)])
            print(f"the same again              {again:6.2f} s")
            query = [*LOOKALIKE, "search", str(collection), str(originals[0])]
            print(f"search of {count:6,} by picture {_seconds(query):6.2f} s", flush=True)


def _links(originals: Sequence[Path], folder: Path, count: int) -> Path:
    folder.mkdir()
    for number, original in enumerate(islice(cycle(originals), count)):
        target = folder / f"{number:06d}{original.suffix}"
        try:
            os.link(original, target)
        except OSError:
            target.write_bytes(original.read_bytes())
    return folder


def _seconds(command: Sequence[str]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _peak_mb(command: Sequence[str]) -> float:
    """The peak resident set of one process, in megabytes."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
