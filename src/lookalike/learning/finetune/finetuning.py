"""Trains a network further on labels, and keeps it only if it finds held-out pictures better."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lookalike.cache import checkpoint_folder
from lookalike.errors import LookalikeError, MemoryLimitError, NoGainError
from lookalike.learning.batches import batches_of
from lookalike.learning.familiar import Familiar
from lookalike.learning.finetune.checkpoint import KEY_DIGITS, Checkpoint, remove_abandoned
from lookalike.learning.finetune.examples import FEW, Examples
from lookalike.learning.finetune.export import exported, network_file, vectors_of
from lookalike.learning.finetune.judging import gain_of
from lookalike.learning.finetune.lessons import Lesson, lesson_of_classes, lesson_of_triplets, triplets_drawn
from lookalike.learning.finetune.loop import Plan, Progressed, Training
from lookalike.learning.finetune.losses import TripletsInOrder, loss_of
from lookalike.learning.finetune.network import Layers, Network, network_of
from lookalike.learning.finetune.pictures import Pictures
from lookalike.learning.finetune.result import FineTuned, Report
from lookalike.learning.finetune.views import MAP_BYTES, VIEWS, Views, features_of
from lookalike.learning.finetune.work import EMBED, JUDGE, READ, STEP, STEP_OF_ALL, VIEW, Work
from lookalike.learning.labels import Question, check_question, question_of
from lookalike.learning.pairs import among
from lookalike.learning.prototypes import calibrated_words
from lookalike.models.class_words import ClassWords
from lookalike.models.devices import AUTO
from lookalike.models.known import BUILT_IN
from lookalike.models.model import LoadedModel, unit
from lookalike.models.torch_runner import torch_device
from lookalike.storage.snapshot import Snapshot

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
OnProgress = Callable[[int, int], None]

LOSS, LOSS_OF_PAIRS, LOSS_OF_TRIPLETS = "cosine+triplet", "contrastive", "triplet"
_EPOCHS_OF_LAST, _BATCH_OF_LAST = 6, 32
_EPOCHS_OF_ALL, _BATCH_OF_ALL = 25, 96
_WORD_PICTURES = 50  # of a class, whose mean vector becomes a word
_FAMILIAR_PICTURES = 8192  # by which strangers are told; more say hardly more
_BASE_BYTES = 1_300_000_000  # what PyTorch, the network and a batch take


def finetune(
    snapshot: Snapshot,
    label: str | None,
    *,
    pairs: Any = None,
    triplets: Any = None,
    for_: Question | None = None,
    loss: str | None = None,
    model: str = BUILT_IN,
    layers: Layers = "auto",
    device: str = AUTO,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    max_memory_bytes: int | None = None,
    checkpoints: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> FineTuned:
    """Train a network on the pictures of a collection by a column of labels, or `pairs` or `triplets` of ids.

    Pairs of the same thing are a file or a table (see `read_pairs`); what hangs together is a class then.
    Triplets are too (see `read_triplets`); they are learned by the loss `triplet`, and held-out ones judge.
    `model` is the built-in network or `timm:NAME`; `layers` are its `last` ones, `all`, or `auto`: the last
    ones of the built-in network on a CPU. `loss` is one of `losses.LOSSES`, or several joined by `+`. A fifth
    of the pictures is held out, or of the classes if `for_` says that `new` ones will be searched for, as it
    is by default where most have fewer than four pictures: one
    half of them chooses the best epoch, the other decides whether the result is kept. A run that was killed
    goes on where its file in the folder `checkpoints` was written last (by default in the user's cache); the
    same arguments on the same collection are the same run, and files that nobody went on from for 30 days are
    removed. `on_progress` is called with the work done and to do, in pictures.
    Raises `NoGainError` if the held-out pictures are not found better by more than two standard errors,
    `LookalikeError` for too few labels or pictures, `ModelError` if the network or the device cannot be used,
    and `MemoryLimitError`.
    """
    _check(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    device = torch_device(device)
    if for_ is not None:
        check_question(for_)
    loss = _loss_for(loss, label, triplets)
    examples = _examples(snapshot, label, pairs, triplets, for_=for_, seed=seed)
    network = network_of(model, layers, device)
    plan = _plan(network, epochs, batch_size, learning_rate, seed)
    state = [snapshot.fingerprint, snapshot.labels_key]
    key = _key([*state, label, for_, _digest(examples), loss, model, network.is_split, asdict(plan)])
    checkpoint = _checkpoint(Path(checkpoints or checkpoint_folder()), key)
    room = _Room.of(examples, network, max_memory_bytes)
    run = _Run(
        snapshot=snapshot,
        examples=examples,
        network=network,
        plan=plan,
        device=device,
        pictures=Pictures(snapshot, examples.rows, network.spec, holds=room.holds_pictures),
        holds_views=room.holds_views,
        work=Work(_cost(examples, network, plan), on_progress),
    )
    run.read()
    at = run.train(loss, checkpoint)
    report, file, words = run.exported(at, model, loss)
    if not report.is_gain:
        checkpoint.remove()
        raise NoGainError(
            f"held-out images are not found better; {report}".replace("\n", "; "),
            "nothing was written: label more images, or try more `epochs` or another `loss`",
            report,
        )
    return FineTuned(network, file, words, report, checkpoint, run.familiar())


def _examples(
    snapshot: Snapshot, label: str | None, pairs: Any, triplets: Any, *, for_: Question | None, seed: int
) -> Examples:
    """What is learned from: the labels of a column, triplets, or pairs."""
    if label is not None:
        return Examples.of(snapshot, label, seed, for_)
    if triplets is not None:
        return Examples.of_triplets(snapshot, triplets, seed)
    return Examples.of_pairs(snapshot, pairs, seed)


def _plan(
    network: Network, epochs: int | None, batch_size: int | None, learning_rate: float | None, seed: int
) -> Plan:
    """How long and how fast to train; what is not given suits the layers that are trained."""
    usual = (_EPOCHS_OF_LAST, _BATCH_OF_LAST) if network.is_split else (_EPOCHS_OF_ALL, _BATCH_OF_ALL)
    return Plan(epochs or usual[0], batch_size or usual[1], learning_rate or network.rate, seed)


def _checkpoint(folder: Path, key: str) -> Checkpoint:
    """The checkpoint of the run with this key; those that were abandoned in the folder are removed."""
    remove_abandoned(folder)
    return Checkpoint(folder / key[:KEY_DIGITS], key)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run: the steps from pictures to a model, in the order in which they are called."""

    snapshot: Snapshot
    examples: Examples
    network: Network
    plan: Plan
    device: str
    pictures: Pictures
    holds_views: bool
    work: Work

    def read(self) -> None:
        """Read the pictures; raises `LookalikeError` if too few can be."""
        self.pictures.check(self.work.counting(READ))
        if (
            len(np.unique(self.classes_of(self.learnt))) < 2
            or not self.lesson.per_epoch
            or not self.lesson.choosing.any()
        ):
            readable = self.pictures.readable
            raise LookalikeError(
                f"{readable.sum():,} of {len(readable):,} labelled images can be read: too few to learn from",
                "bring the originals back, or build the collection again",
            )

    @cached_property
    def learnt(self) -> Ints:
        """The places of the pictures that are learnt from."""
        return np.flatnonzero(~self.examples.held_out & self.pictures.readable)

    @cached_property
    def lesson(self) -> Lesson:
        """What is drawn of the pictures that are learnt from, and asked of those held out."""
        size, seed, triplets = self.plan.batch_size, self.plan.seed, self.examples.triplets
        if triplets is not None:
            learnt, held = among(self.learnt, triplets), among(self.held, triplets)
            return lesson_of_triplets(self.classes_of(self.learnt), learnt, held, size, seed)
        learnt, held = self.classes_of(self.learnt), self.classes_of(self.held)
        whole = self.examples.question == "new" and question_of(held, FEW) == "new"
        return lesson_of_classes(learnt, held, size, seed, whole)

    @cached_property
    def held(self) -> Ints:
        """The places of the pictures that are held out."""
        return np.flatnonzero(self.examples.held_out & self.pictures.readable)

    def classes_of(self, places: Ints) -> Ints:
        return self.examples.classes[places]

    def train(self, loss: str, checkpoint: Checkpoint) -> Progressed:
        """Train to the end; the network is the best of all epochs then."""
        torch.manual_seed(self.plan.seed)
        views = Views(
            self.network, self.pictures, self.learnt, self.device, seed=self.plan.seed, holds=self.holds_views
        )
        training = Training(
            self.network,
            self._loss(loss),
            views,
            self.lesson,
            self.plan,
            judge=self._judge(),
            device=self.device,
            checkpoint=checkpoint,
        )
        cost = _step_cost(self.network)
        return training.run(self.work.counting(VIEW), self.work.counting(cost), partial(self.work.skip, cost))

    def _loss(self, name: str) -> nn.Module:
        if self.examples.triplets is not None:
            return TripletsInOrder()
        return loss_of(name, self.network.spec.dim, self.examples.learnt_classes)

    def _judge(self) -> Callable[[], float]:
        """A function that gives the mean score of the held-out questions that choose the epoch."""
        kept: list[torch.Tensor] | None = [] if self.network.is_split and self.holds_views else None
        count = self.work.counting(JUDGE)

        def judge() -> float:
            features = features_of(self.network, self.pictures, self.held, self.device, kept)
            count(len(self.held))
            return float(np.nanmean(self.lesson.judge(unit(features))[self.lesson.choosing]))

        return judge

    def exported(self, at: Progressed, model: str, loss: str) -> tuple[Report, bytes, ClassWords | None]:
        """What the trained network is worth in the form in which it is kept, its file, and its words."""
        file = network_file(self.network)
        ready, count = exported(self.network, file), self.work.counting(EMBED)
        stored = unit(self.snapshot.vectors(self.examples.rows[self.held]))
        made = vectors_of(ready, self.pictures, self.held, count)
        before, after = (self.lesson.judge(one)[self.lesson.judging] for one in (stored, made))
        words = None if self.examples.told else self._words(ready, made, count)
        readable = self.pictures.readable
        gain, error = gain_of(before, after)
        self.work.finish()
        report = Report(
            model=model,
            loss=loss,
            question=self.examples.question,
            layers="last" if self.network.is_split else "all",
            device=self.device,
            classes=len(self.examples.names),
            learnt_from=len(self.learnt),
            held_out=len(self.held),
            judged=int(np.isfinite(before).sum()),
            unlabelled=self.examples.unlabelled,
            singles=self.examples.singles,
            told=self.examples.told,
            triplets=len(among(self.learnt, self.examples.triplets))
            if self.examples.triplets is not None
            else 0,
            unreadable=int((~readable).sum()),
            thumbnails=int(readable.sum()) - self.pictures.originals,
            steps=at.step,
            best_epoch=at.best_epoch,
            scores=tuple(at.scores),
            before=float(np.nanmean(before)),
            after=float(np.nanmean(after)),
            gain=gain,
            standard_error=error,
        )
        return report, file, words

    def familiar(self) -> Familiar | None:
        """What the collection's vectors say of the learnt classes, if these have names."""
        if self.examples.told:
            return None
        places = np.flatnonzero(self.examples.classes < self.examples.learnt_classes)
        if len(places) > _FAMILIAR_PICTURES:
            drawn = np.random.default_rng(self.plan.seed).permutation(len(places))[:_FAMILIAR_PICTURES]
            places = places[np.sort(drawn)]
        vectors = unit(self.snapshot.vectors(self.examples.rows[places]))
        return Familiar.of(self.snapshot, vectors, self.classes_of(places), self.examples.names)

    def _words(self, ready: LoadedModel, held: Floats, on_progress: Callable[[int], None]) -> ClassWords:
        """The mean direction of each class, and what a cosine with it is worth on held-out pictures."""
        classes = self.classes_of(self.learnt)
        chosen = [self.learnt[classes == one][:_WORD_PICTURES] for one in np.unique(classes)]
        taught = np.concatenate(chosen)
        vectors = np.concatenate([vectors_of(ready, self.pictures, taught, on_progress), held])
        return calibrated_words(
            self.examples.names,
            np.concatenate([self.classes_of(taught), self.classes_of(self.held)]),
            vectors=vectors,
            otherwise=np.zeros((len(self.examples.names), vectors.shape[1]), np.float32),
            judged=vectors,
            unseen=np.arange(len(vectors)) >= len(taught),
        )


@dataclass(frozen=True, slots=True)
class _Room:
    """What memory there is for: all pictures, and the views of them that are kept."""

    holds_pictures: bool
    holds_views: bool

    @staticmethod
    def of(examples: Examples, network: Network, max_memory_bytes: int | None) -> _Room:
        """What a limit leaves room for; raises `MemoryLimitError` if it is too low for any training."""
        if max_memory_bytes is None:
            return _Room(True, True)
        if max_memory_bytes < _BASE_BYTES:
            raise MemoryLimitError("fine-tuning", _BASE_BYTES, max_memory_bytes)
        left = max_memory_bytes - _BASE_BYTES
        views = len(examples.rows) * VIEWS * MAP_BYTES if network.is_split else 0
        pictures = len(examples.rows) * network.spec.size_px**2 * 3
        return _Room(left >= views + pictures, left >= views)


def _cost(examples: Examples, network: Network, plan: Plan) -> float:
    """All the work of a run, in pictures of a training step."""
    learnt, held = int((~examples.held_out).sum()), int(examples.held_out.sum())
    trained = plan.epochs * _drawn(examples, learnt, plan.batch_size)
    views = min(plan.epochs, VIEWS) * learnt * VIEW if network.is_split else 0
    sizes = np.bincount(examples.classes[~examples.held_out])
    taught = 0 if examples.told else np.minimum(sizes, _WORD_PICTURES).sum()
    judged = (plan.epochs + 1) * held * JUDGE + (held + taught) * EMBED
    return float((learnt + held) * READ + views + trained * _step_cost(network) + judged)


def _drawn(examples: Examples, learnt: int, size: int) -> int:
    """The pictures of an epoch's batches."""
    if examples.triplets is None:
        return batches_of(learnt, size) * size
    return 3 * triplets_drawn(len(among(np.flatnonzero(~examples.held_out), examples.triplets)), learnt)


def _step_cost(network: Network) -> float:
    return STEP if network.is_split else STEP_OF_ALL


def _loss_for(loss: str | None, label: str | None, triplets: Any) -> str:
    """The name of the loss: the one that is asked for, unless triplets are learned."""
    if triplets is None:
        return loss or (LOSS_OF_PAIRS if label is None else LOSS)
    if loss not in (None, LOSS_OF_TRIPLETS):
        raise LookalikeError(
            f"triplets are learned by the loss {LOSS_OF_TRIPLETS}, not {loss}", "leave out `loss`"
        )
    return LOSS_OF_TRIPLETS


def _digest(examples: Examples) -> str:
    """What is learned from, in short."""
    triplets = b"" if examples.triplets is None else examples.triplets.tobytes()
    return hashlib.sha256(examples.rows.tobytes() + examples.classes.tobytes() + triplets).hexdigest()


def _key(parts: list[object]) -> str:
    """The name of a run: the same parts, the same run."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _check(**numbers: float | None) -> None:
    """Raise `LookalikeError` for a number that is not above 0."""
    for name, number in numbers.items():
        if number is not None and not 0 < number < float("inf"):
            raise LookalikeError(f"{name} is {number}, but must be above 0")
