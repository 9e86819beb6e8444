"""What is learned and how it is judged: by the classes of pictures, or by triplets of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.learning import batches
from lookalike.learning.finetune.judging import average_precisions, halves, shares_in_order

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_MOST_VIEWS = 4  # of a picture in an epoch, on average: there may be any number of triplets


@dataclass(frozen=True)
class Lesson:
    """What is drawn of L pictures that are learned from, and what is asked of H that are held out.

    `classes` (L,) are theirs. `batches` gives the batches of an epoch, `per_epoch` of them: places among the
    L, `size` of them or fewer. `judge` says of unit vectors (H, D) how well each of Q questions is answered,
    from 0 to 1, or NaN; those that are `choosing` (Q,) choose the epoch that is kept, those that are
    `judging` (Q,) judge the model.
    """

    classes: Ints
    batches: Callable[[int], Iterator[Ints]]
    per_epoch: int
    size: int
    judge: Callable[[Floats], NDArray[np.float64]]
    choosing: Mask
    judging: Mask


def lesson_of_classes(learnt: Ints, held: Ints, size: int, seed: int, whole: bool) -> Lesson:
    """Pictures of one class are alike: `learnt` (L,) and `held` (H,) are their classes.

    A picture asks for the others of its class. Every other picture of a class chooses, or every other class
    if `whole`; `size` pictures are a batch.
    """
    k = batches.per_class(learnt)
    return Lesson(
        learnt,
        lambda epoch: batches.batches(learnt, size, seed, epoch, k),
        batches.batches_of(len(learnt), size),
        size,
        lambda vectors: average_precisions(vectors, held),
        *halves(held, whole),
    )


def lesson_of_triplets(classes: Ints, learnt: Ints, held: Ints, size: int, seed: int) -> Lesson:
    """The first of each triplet is more like the second than like the third; places (T, 3) and (U, 3).

    Batches are all anchors, all that are like them, and all that are less. An anchor asks for the right
    order; every other one chooses. Of many triplets, each epoch takes others: as many as show each picture
    four times.
    """
    drawn, at_once = triplets_drawn(len(learnt), len(classes)), max(1, size // 3)
    anchors = np.arange(len(np.unique(held[:, 0])))

    def batches_of_epoch(epoch: int) -> Iterator[Ints]:
        order = np.random.default_rng([seed, epoch]).permutation(len(learnt))[:drawn]
        for at in range(0, drawn, at_once):
            yield learnt[order[at : at + at_once]].T.ravel()

    return Lesson(
        classes,
        batches_of_epoch,
        batches.batches_of(drawn, at_once),
        3 * at_once,
        lambda vectors: shares_in_order(vectors, held),
        anchors % 2 == 1,
        anchors % 2 == 0,
    )


def triplets_drawn(triplets: int, pictures: int) -> int:
    """How many triplets an epoch takes of so many, of so many pictures."""
    return min(triplets, -(-_MOST_VIEWS * pictures // 3))
