"""What pictures show, by the labelled ones of a collection: how often is an answer right, or unknown due?

    python benchmarks/identify.py --flowers FOLDER --clothing FOLDER --grocery FOLDER --stamps FOLDER

Of each data set three fifths of the pictures are learned from; the others ask, and so do the pictures of the
other data sets, for which unknown is the right answer. Means of several divisions. The second table is of
collections made by a head that was trained on what is learned from: by the base's vectors, as `identify` does
it, and by the head's. The third is of models that keep no vector of their base, heads of directions alone
and, with --finetune (minutes for each data set), networks trained further: strangers are told by the base, as
`identify` does it, or by the model's own vectors. The fourth is what a person's labels are worth: those that
`to_label` asks for, and as many drawn at random.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from labels import collections, parser_of
from numpy.typing import NDArray

import lookalike
from lookalike.errors import NoGainError
from lookalike.learning.choosing import doubts, most_telling
from lookalike.learning.class_scores import fit
from lookalike.learning.identifier import learn
from lookalike.learning.identify import FEW_DIMENSIONS
from lookalike.models.head_model import way_back

Floats = NDArray[np.float32]
Sets = Mapping[str, tuple[Floats, list[str]]]
Made = Mapping[str, tuple[lookalike.Collection, list[str]]]

TUNED_ON = "flowers"
# They show the same things: stamps are drawn fruit, clothes and flowers.
_ALIKE = ({"flowers", "drawn"}, {"stamps"})
_LEARNED, _DIVISIONS, _ORDERS = 0.6, 5, 10
_ASKED = (5, 10, 15, 20, 30, 50)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--finetune", action="store_true", help="train networks too; needs lookalike[train]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = {name: (one, labels) for name, one, labels in collections(options, Path(folder))}
        sets = {name: (one.embeddings().astype(np.float32), labels) for name, (one, labels) in made.items()}
        _print(sets, made, options.finetune)


def _print(sets: Sets, made: Made, finetune: bool) -> None:
    print(f"tuned on: {TUNED_ON}")
    print("| | kinds | learned from | likeliest is right | answered | of these right | strangers | unknown |")
    print("|---|---|---|---|---|---|---|---|")
    for name in sets:
        print(_identified(name, sets), flush=True)
    print("\nin collections made by a head, one division:")
    print("| | by the vectors of | likeliest is right | answered | of these right | unknown |")
    print("|---|---|---|---|---|---|")
    for name in sets:
        if len(_strangers(name, sets)):
            print(_with_head(name, sets), flush=True)
    print("\nin collections of models that keep no vector of their base, one division:")
    print("| | model | strangers by | likeliest is right | answered | of these right | unknown |")
    print("|---|---|---|---|---|---|---|")
    for name in sets:
        for method in ("lda", "finetune") if finetune else ("lda",):
            if len(_strangers(name, sets)):
                print(_learned(name, method, sets, made), flush=True)
    print(f"\naccuracy on the other half after so many labels, tuned on: {TUNED_ON}")
    print(f"| | | {' | '.join(map(str, _ASKED))} |")
    print(f"|---|---|{'---|' * len(_ASKED)}")
    for name, (vectors, labels) in sets.items():
        for how, chosen in (("asked for", True), ("at random", False)):
            found = np.mean([_curve(vectors, labels, seed, chosen) for seed in range(_ORDERS)], axis=0)
            print(f"| {name} | {how} | {' | '.join(f'{one:.2f}' for one in found)} |", flush=True)


def _identified(name: str, sets: Sets) -> str:
    vectors, labels = sets[name]
    strange = _strangers(name, sets)
    figures = [_figures(vectors, labels, strange, _drawn(len(vectors), seed)) for seed in range(_DIVISIONS)]
    accuracy, answered, correct, unknown = np.mean(figures, axis=0)
    return (
        f"| {name} | {len(set(labels))} | {round(_LEARNED * len(vectors)):,} | {accuracy:.1%} "
        f"| {answered:.1%} "
        f"| {correct:.1%} | {len(strange):,} | {unknown:.1%} |"
    )


def _strangers(name: str, sets: Sets) -> Floats:
    """The vectors of data sets that show other things."""
    dim = sets[name][0].shape[1]
    return np.concatenate([np.empty((0, dim), np.float32), *(sets[one][0] for one in _others(name, sets))])


def _others(name: str, sets: Sets) -> list[str]:
    far = [one for one in sets if one != name]
    return [one for one in far if not any(alike & {one, name} == alike for alike in _ALIKE)]


def _drawn(count: int, seed: int) -> NDArray[np.bool_]:
    """Which pictures are learned from."""
    return np.random.default_rng(seed).random(count) < _LEARNED


def _figures(
    vectors: Floats,
    labels: list[str],
    strange: Floats,
    mine: NDArray[np.bool_],
    told: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
) -> list[float]:
    """The accuracy, the share that is answered, that of right answers, and of strangers that are unknown.

    `told` says which of the vectors, and of the strangers, the base finds strange.
    """
    names, classes = np.unique(np.array(labels)[mine], return_inverse=True)
    judge = learn(vectors[mine], classes, names.tolist())
    if told and vectors.shape[1] < FEW_DIMENSIONS:
        judge = replace(judge, itself=np.inf)
    asked = ~mine & np.isin(labels, names)
    found, gone = judge.judge(vectors[asked]), judge.judge(strange)
    if told:
        found = found.judged_strange(told[0][asked], np.ones(asked.sum(), bool))
        gone = gone.judged_strange(told[1], np.ones(len(strange), bool))
    right = names[found.order[:, 0]] == np.array(labels)[asked]
    unknown = 1 - gone.answered.mean() if len(strange) else np.nan
    return [right.mean(), found.answered.mean(), right[found.answered].mean(), unknown]


def _with_head(name: str, sets: Sets) -> str:
    vectors, labels = sets[name]
    strange, mine = _strangers(name, sets), _drawn(len(vectors), 0)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        ids = [f"{number:05d}" for number in range(len(vectors))]
        path = Path(folder) / "c.lookalike"
        made = lookalike.from_vectors(path, vectors, ids, columns={"label": labels})
        head = lookalike.train(made, label="label", rows=np.flatnonzero(mine)).save(Path(folder) / "head")
        to_base = way_back(Path(folder) / "head", head.sha256)
        assert head.from_base and to_base, "a head that keeps its base's vectors"
        of_head = head.from_base
        ways = {"the base": lambda some: to_base(of_head(some)), "the head": of_head}
        for whose, way in ways.items():
            figures = _figures(way(vectors), labels, way(strange), mine)
            lines.append(f"| {name} | {whose} | {' | '.join(f'{one:.1%}' for one in figures)} |")
    return "\n".join(lines)


def _learned(name: str, method: str, sets: Sets, made: Made) -> str:
    """By the vectors of a model that keeps none of its base, which learned the labels that are given."""
    (vectors, labels), (collection, _) = sets[name], made[name]
    mine = _drawn(len(vectors), 0)
    ids = np.array(collection.items(["id"])["id"].to_pylist())
    for label in set(labels):
        collection.give_label(ids[mine & (np.array(labels) == label)].tolist(), label)
    folder = collection.path.parent / f"{name}-{method}"
    try:
        model = lookalike.train(collection, label="label", method=method)
    except NoGainError:
        return f"| {name} | {method} | gains nothing | | | | |"
    assert model.familiar, "a model that keeps what its base says"
    model.save(folder)
    ways = {}
    for one in (name, *_others(name, sets)):
        source = made[one][0].path if method == "lda" else _folder(made[one][0])
        built = lookalike.build(source, f"{folder}-{one}.lookalike", model=f"{folder}/")
        ways[one] = built.embeddings().astype(np.float32)
    strange = np.concatenate([ways[one] for one in _others(name, sets)])
    told = model.familiar.is_strange(vectors), model.familiar.is_strange(_strangers(name, sets))
    return "\n".join(
        f"| {name} | {method} | {whose} "
        f"| {' | '.join(f'{one:.1%}' for one in _figures(ways[name], labels, strange, mine, by))} |"
        for whose, by in (("the base", told), ("its own vectors", None))
    )


def _folder(collection: lookalike.Collection) -> str:
    (source,) = collection.manifest.sources
    return unquote(urlsplit(source).path)


def _curve(vectors: Floats, labels: list[str], seed: int, chosen: bool) -> list[float]:
    """The accuracy of a discriminant after so many labels of one half, five at a time."""
    rng = np.random.default_rng(seed)
    names, classes = np.unique(labels, return_inverse=True)
    order = rng.permutation(len(vectors))
    half = len(vectors) // 2
    # Enough to compare two ways, and 20 times faster.
    squeeze = np.random.default_rng(0).normal(size=(vectors.shape[1], 256)).astype(np.float32)
    narrow = vectors @ squeeze
    narrow /= np.linalg.norm(narrow, axis=1, keepdims=True)
    pool, asked = order[:half], order[half:]
    known: list[int] = []
    found = []
    while len(known) < max(_ASKED):
        free = np.setdiff1d(pool, known)
        here = narrow[known]
        if chosen:
            present, own = np.unique(classes[known], return_inverse=True)
            weights = doubts(narrow[free], here, own, len(present))
            explained = (here @ narrow[free].T).max(axis=0) if known else np.zeros(len(free), np.float32)
            next_ = free[most_telling(narrow[free], weights, explained, 5)]
        else:
            next_ = rng.choice(free, 5, replace=False)
        known += next_.tolist()
        if len(known) in _ASKED:
            (one,) = fit(narrow[known], classes[known], len(names), [0.9])
            found.append(float((one.scores(narrow[asked]).argmax(axis=1) == classes[asked]).mean()))
    return found


if __name__ == "__main__":
    main()
