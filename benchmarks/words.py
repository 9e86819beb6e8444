"""What words, tags and the names of groups are worth on pictures that the network was not trained for.

    python benchmarks/words.py --flowers FOLDER --clothing FOLDER --grocery FOLDER --stamps FOLDER

The answers stand in `labels.json`. Of words: those of which there is a picture, and the names of all classes
but those, what is below them, and those of which there may be a picture. Of tags: those that a build gives.
Of groups: k-means with several numbers of groups, named by what the network sees alone, as where labels,
folders and file names say nothing; a name is right where it is for half of the group.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from labels import KNOWN, collections, is_right, parser_of

import lookalike
from lookalike.models.tags import common_tags
from lookalike.models.words import vocabulary

TUNED_ON = {
    "words": "flowers, clothing and grocery: two constants",
    "tags": "flowers and stamps: four bounds",
    "names of groups": "all but clothing: four bounds",
}
GROUPS = (4, 8, 15, 30)
_SURE, _LOOKED_AT = 0.5, 100


def main() -> None:
    options = parser_of(__doc__).parse_args()
    print("tuned on: " + "; ".join(f"{what} on {sets}" for what, sets in TUNED_ON.items()))
    with tempfile.TemporaryDirectory() as folder:
        for name, collection, labels in collections(options, Path(folder)):
            print(f"\n{name}: {len(collection):,} pictures")
            _words(name, collection)
            _tags(name, collection, labels)
            _groups(name, collection, labels)


def _words(name: str, collection: lookalike.Collection) -> None:
    known = vocabulary()
    meant = {
        number
        for word in KNOWN[name]["present"] + KNOWN[name]["perhaps"]
        for meaning in known.find(word)
        for number in meaning.classes
    }
    absent = [one for number, one in enumerate(known.classes) if number not in meant]
    for what, words in (
        ("of which there is a picture", KNOWN[name]["present"]),
        ("of which there is none", absent),
    ):
        first = np.array([_first(collection, word) for word in words])
        print(f"  {len(words)} words {what}: first hit at {_SURE} or more for {np.mean(first >= _SURE):.3f}")


def _first(collection: lookalike.Collection, word: str) -> float:
    """The confidence of the first hit; `crane (lifting device)` is asked without its gloss."""
    (hit,) = collection.search(lookalike.Text(word.partition(" (")[0]), k=1)
    assert hit.confidence is not None
    return hit.confidence


def _tags(name: str, collection: lookalike.Collection, labels: list[str]) -> None:
    rows = collection.items(["id", "tags"]).to_pylist()
    right = [
        [is_right(name, label, row["id"], tag) for tag in row["tags"]]
        for row, label in zip(rows, labels, strict=True)
    ]
    every = [one for some in right for one in some]
    tagged = np.mean([bool(some) for some in right])
    print(f"  {len(every)} tags, {np.mean(every):.3f} right; {tagged:.2f} of the pictures have one")
    daisies = [any(some) for some, label in zip(right, labels, strict=True) if label == "daisy"]
    if daisies:
        print(f"  {np.mean(daisies):.2f} of the daisies have a right tag")


def _groups(name: str, collection: lookalike.Collection, labels: list[str]) -> None:
    ids, vectors = collection.items(["id"])["id"].to_pylist(), collection.embeddings()
    row_of = {id_: row for row, id_ in enumerate(ids)}
    total = named = right = 0
    for count in GROUPS:
        found = collection.cluster(count)
        rows = np.array([row_of[id_] for id_ in found.ids])
        for group in range(len(found.clusters)):
            mine = np.flatnonzero(found.labels == group)
            nearest = mine[np.argsort(-found.scores[mine], kind="stable")[:_LOOKED_AT]]
            total += 1
            for tag in common_tags(vectors[np.sort(rows[nearest])])[:1]:
                named += 1
                right += np.mean([is_right(name, labels[row], ids[row], tag) for row in rows[mine]]) >= 0.5
    share = right / named if named else float("nan")
    print(f"  {total} groups by what is seen alone: {named / total:.2f} named, {share:.3f} of these right")


if __name__ == "__main__":
    main()
