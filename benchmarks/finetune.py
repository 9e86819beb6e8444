"""What fine-tuning is worth on labelled pictures: mAP of a held-out fifth, and the time that it takes.

    python benchmarks/finetune.py --folder clothing/       # one folder of pictures for each class
    python benchmarks/finetune.py --folder clothing/ --device cuda

The pictures that are held out are queries. The gallery is what was learnt from, and for the second figure the
other held-out pictures. Needs `pip install 'lookalike[train]'`. Lines: the vectors of the built-in
network; a closed form on them (linear discriminant analysis with shrinkage), if scikit-learn is there; the
fine-tuned network in floats; and the same in 8 bits, as it is kept.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from machine import machine
from numpy.typing import NDArray

import lookalike
from lookalike.errors import NoGainError
from lookalike.learning.finetune.examples import Examples
from lookalike.learning.finetune.folding import convolutions
from lookalike.learning.finetune.onnx_graph import float32_model
from lookalike.learning.finetune.pictures import Pictures
from lookalike.learning.finetune.starting import train_network
from lookalike.learning.judging import retrieval
from lookalike.models.model import unit

Floats = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="pictures, in a folder for each class")
    parser.add_argument("--loss", default="cosine+triplet")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    for name, value in machine().items():
        print(f"{name}: {value}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            measure(options, Path(folder))
        except NoGainError as error:
            print(f"not kept: {error.message}")


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Print a line for each kind of vectors."""
    snapshot = lookalike.build(options.folder, folder / "c.lookalike", label="folder").snapshot
    examples = Examples.of(snapshot, "label")
    raw = unit(snapshot.vectors(examples.rows))
    told("raw", raw, examples)
    if find_spec("sklearn"):
        told("closed form", discriminant(raw, examples), examples)
    started_s, started_cpu_s, load = time.monotonic(), time.process_time(), os.getloadavg()[0]
    learned = train_network(
        snapshot,
        "label",
        loss=options.loss,
        device=options.device,
        epochs=options.epochs,
        checkpoints=folder / "checkpoints",
        on_progress=Forecast(),
    )
    wall_s, cpu_s = time.monotonic() - started_s, time.process_time() - started_cpu_s
    model = learned.save(folder / "model")
    pictures = Pictures(snapshot, examples.rows, model.spec, holds=True)
    pictures.check(lambda count: None)
    network = float32_model(convolutions(learned.network.whole), {})
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    places = np.split(np.arange(len(examples.rows)), range(16, len(examples.rows), 16))
    pixels = [pictures.pixels(some) for some in places]
    told("floats", np.concatenate([unit(session.run(None, {"pixels": one})[0]) for one in pixels]), examples)
    told("8 bits", np.concatenate([model.embed_pixels(one) for one in pixels]), examples)
    print(learned.report)
    print(f"scores by epoch: {', '.join(f'{one:.3f}' for one in learned.report.scores)}")
    print(
        f"{wall_s:.0f} s, {cpu_s:.0f} s of CPU, at a load of {load:.1f} to {os.getloadavg()[0]:.1f} of others"
    )


class Forecast:
    """Prints at each quarter of the work how long it was said to take, from the share that is done."""

    def __init__(self) -> None:
        self._started_s, self._started_cpu_s, self._next = time.monotonic(), time.process_time(), 0.25

    def __call__(self, done: int, total: int) -> None:
        if done >= self._next * total:
            wall_s, cpu_s = time.monotonic() - self._started_s, time.process_time() - self._started_cpu_s
            print(f"at {done / total:.0%}: {wall_s:.0f} s, {cpu_s:.0f} s of CPU")
            self._next += 0.25


def discriminant(vectors: Floats, examples: Examples) -> Floats:
    """The vectors by a linear discriminant analysis of those that are learnt from."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    learnt = ~examples.held_out
    found = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.3)
    found.fit(vectors[learnt].astype(np.float64), examples.classes[learnt])
    return unit(np.asarray(found.transform(vectors), np.float32))


def told(name: str, vectors: Floats, examples: Examples) -> None:
    """Print mAP and precision@1 among the pictures that were learnt from, and mAP among those held out."""
    held, learnt = np.flatnonzero(examples.held_out), np.flatnonzero(~examples.held_out)
    among_learnt = retrieval(vectors, examples.classes, held, learnt)
    among_held = retrieval(vectors, examples.classes, held, held)
    print(
        f"{name:12} mAP {np.nanmean(among_learnt[:, 0]):.3f}  P@1 {np.nanmean(among_learnt[:, 1]):.3f}  "
        f"among held out mAP {np.nanmean(among_held[:, 0]):.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
