"""Export a collection as a static site: the server's page, with files instead of the server's answers.

    index.html, web/                the page; web/host.js is the one that reads these files
    collections.json                the collections, and how the files are split
    data/KEY/cards/00000.json       what the grid needs, for 1,000 items each
    data/KEY/columns/00000.json     their other columns
    data/KEY/vectors/00000.bin      their vectors, in 8 bits
    data/KEY/vectors/center.bin     the values that the numbers of a vector are compared with to get bits
    data/KEY/thumbnails/3f/….jpg    by the sha256 of the picture
    data/KEY/words.json, words.bin  words of the model that can be searched for
    data/KEY/class_words.json, .bin the classes that a model was taught
    data/KEY/own_words.json, .bin   the collection's own words
    data/KEY/colors.bin             the share of each named colour in each picture
    data/KEY/rivals.bin             what the words of a text tower compete with
    model/                          the network, the text tower and what runs them, if wanted

KEY names this state, so that no cache can mix files of two states. docs/site.md specifies all of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lookalike.checking import checked
from lookalike.errors import CollectionError
from lookalike.export.files import write, write_json
from lookalike.export.network import BrowserNetwork, browser_network
from lookalike.export.npm import ONNXRUNTIME, TOKENIZERS, package_files
from lookalike.export.rows import THUMBNAIL, OnProgress, pieces, silent, take_count
from lookalike.export.target import new_folder
from lookalike.export.text import BrowserText, browser_text
from lookalike.export.vector_format import float32_file, int8_file
from lookalike.export.words import write_words
from lookalike.page import WEB_FOLDER
from lookalike.search.confidence import background_of
from lookalike.search.engine import Engine
from lookalike.search.own_words import words_key
from lookalike.storage.columns import column_type, filled_columns
from lookalike.storage.parts import EXIF_FIELDS, matrix
from lookalike.storage.snapshot import Snapshot

FORMAT, VERSION = "lookalike-site", 1
CHUNK_ROWS = 1000
CARD_COLUMNS = ("id", "label", "width", "height")
# Where the files were and when they changed is nobody's business but the owner's.
_LEFT_OUT = frozenset(("thumb_offset", "thumb_size", "uri", "mtime_ns", "embedding", THUMBNAIL))
# When, where and with which camera a picture was taken, wherever a column with such a name comes from.
_EXIF = frozenset(field.name for field in EXIF_FIELDS)
_MAP = frozenset(("map_x", "map_y"))

# Digits of the sha256 that name a thumbnail: of a million pictures, two share them once in 37 million sites.
_NAME_DIGITS = 16
_SHA256 = re.compile("[0-9a-f]{64}")
_CENTER_SAMPLE = 8192

_TOP = frozenset(("index.html", "collections.json", "web", "data", "model"))
_HOST = b'export { default } from "./static/host.js";\n'
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
_CHARSET = '<meta charset="utf-8">'
_NOTICE = """onnxruntime.js, onnxruntime-wasm.js, onnxruntime.wasm:
    onnxruntime-web, Copyright (c) Microsoft Corporation, MIT License
"""
_NOTICE_OF_TOKENIZERS = """tokenizers.js:
    @huggingface/tokenizers, Hugging Face, Apache License 2.0
"""
_NOTICE_OF_BUILT_IN = """efficientnet_lite0.onnx:
    made from the published weights of EfficientNet-Lite0, Apache License 2.0
"""


@checked
def export_site(
    snapshot: Snapshot,
    target: str | Path,
    *,
    with_model: bool = False,
    with_exif: bool = False,
    onnxruntime_web: str | Path | None = None,
    tokenizers_js: str | Path | None = None,
    max_items: int | None = None,
    on_progress: OnProgress = silent,
) -> Path:
    """Write a site of static files with the items, or the first `max_items` of them; returns its folder.

    `with_model` adds the network and onnxruntime-web, from the folder `onnxruntime_web` or through npm, so
    that visitors can search by their own pictures; and by words, with the model's text tower, if a browser
    runs it, and its tokenizer's library, from the folder `tokenizers_js` or through npm. `with_exif`
    publishes when, where and with which camera the site's pictures were taken. Replaces an earlier site.
    Raises `CollectionError` if there is nothing to show, `ModelError` if the model cannot run in a browser,
    and `StorageError` if the target has other files.
    """
    count = take_count(snapshot, max_items)
    network = browser_network(snapshot.model) if with_model else None
    text = browser_text(snapshot.model) if network else None
    model = _model_files(network, text, onnxruntime_web, tokenizers_js) if network else {}
    with new_folder(Path(target).resolve(), _is_site) as site:
        data = site / "data" / _key(snapshot, count, with_exif)
        hidden = _LEFT_OUT if with_exif else _LEFT_OUT | _EXIF
        facts = _write_data(snapshot, data, count, hidden, on_progress)
        facts |= write_words(Engine(snapshot), data, count, text)
        write_json(
            site / "collections.json",
            _catalogue(snapshot, data, count, facts, network.entry if network else None),
        )
        _write_page(site)
        for name, source in model.items():
            write(site / "model" / name, source if isinstance(source, bytes) else source.read_bytes())
    return Path(target)


def _model_files(
    network: BrowserNetwork,
    text: BrowserText | None,
    onnxruntime_web: str | Path | None,
    tokenizers_js: str | Path | None,
) -> dict[str, Path | bytes]:
    """The files in `model/` by name: networks, what runs them, and whose they are; raises `ModelError`."""
    found: dict[str, Path | bytes] = {
        network.path.name: network.path,
        **network.layers,
        **package_files(ONNXRUNTIME, onnxruntime_web),
    }
    if text:
        found |= {**text.files, **package_files(TOKENIZERS, tokenizers_js)}
    notice = _NOTICE + (_NOTICE_OF_TOKENIZERS if text else "")
    notice += _NOTICE_OF_BUILT_IN if network.is_built_in else ""
    return {**found, "NOTICE.txt": notice.encode()}


def _write_data(
    snapshot: Snapshot, data: Path, count: int, hidden: frozenset[str], on_progress: OnProgress
) -> dict[str, Any]:
    """Write the files of the items without the `hidden` columns.

    Returns their catalogue entry: how many have each label, and the columns with any values.
    """
    labels, filled = Counter[str](), set[str]()
    sample, stride, done = [], -(-count // _CENTER_SAMPLE), 0
    for number, stored in enumerate(pieces(snapshot, CHUNK_ROWS, count, thumbnails=True)):
        table = _with_derived(snapshot, stored, done)
        name, vectors = f"{number:05d}", matrix(table["embedding"])
        write_json(data / "cards" / f"{name}.json", _cards(table))
        write_json(data / "columns" / f"{name}.json", _columns(table, hidden))
        write(data / "vectors" / f"{name}.bin", int8_file(vectors, done))
        _write_thumbnails(data / "thumbnails", table)
        filled.update(filled_columns(table))
        labels.update(label for label in table["label"].to_pylist() if label is not None)
        sample.append(vectors[-done % stride :: stride])
        done += len(table)
        on_progress(done, count)
    center = np.median(np.concatenate(sample), axis=0)[None].astype(np.float32)
    write(data / "vectors" / "center.bin", float32_file(center))
    return {"labels": dict(sorted(labels.items())), "columns": _column_types(snapshot, filled - hidden)}


def _with_derived(snapshot: Snapshot, table: pa.Table, first: int) -> pa.Table:
    """Add what was derived of these rows, which start at `first`, such as taught words; not the map."""
    for name in _derived_names(snapshot):
        table = table.append_column(name, snapshot.column(name).slice(first, len(table)))
    return table


def _derived_names(snapshot: Snapshot) -> list[str]:
    return [name for name in snapshot.all_columns.names if name not in {*snapshot.schema.names, *_MAP}]


def _cards(table: pa.Table) -> dict[str, list[Any]]:
    """Return the columns that the grid shows, a list each; `v` names the thumbnail, empty if none."""
    cards = {name: table[name].to_pylist() for name in CARD_COLUMNS}
    return {**cards, "v": [name or "" for name, _ in _thumbnails(table)]}


def _columns(table: pa.Table, hidden: frozenset[str]) -> dict[str, list[Any]]:
    """Return the other published columns, a list each."""
    names = [name for name in table.column_names if name not in hidden and name not in CARD_COLUMNS]
    columns = {name: table[name].to_pylist() for name in names}
    published = [uri if uri.startswith(("https:", "http:")) else None for uri in table["uri"].to_pylist()]
    return {**columns, "uri": published} if any(published) else columns


def _thumbnails(table: pa.Table) -> Iterator[tuple[str | None, bytes]]:
    """Yield the name and the JPEG of each thumbnail; the name is None if there is none."""
    for sha256, jpeg in zip(table["sha256"].to_pylist(), table[THUMBNAIL].to_pylist(), strict=True):
        if jpeg and not _SHA256.fullmatch(sha256):  # it becomes a path
            raise CollectionError(f"an item has {sha256!r} instead of its sha256, so it has no file name")
        yield (sha256[:_NAME_DIGITS] if jpeg else None), jpeg


def _write_thumbnails(folder: Path, table: pa.Table) -> None:
    for name, jpeg in _thumbnails(table):
        if name is not None:
            write(folder / name[:2] / f"{name}.jpg", jpeg)


def _catalogue(
    snapshot: Snapshot, data: Path, count: int, facts: dict[str, Any], network: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the content of `collections.json`: the server's answer, and how the files are split.

    `network` is what a browser has to know to run the model, if it is to.
    """
    model, background = snapshot.manifest.model, background_of(snapshot)
    entry = {
        "name": snapshot.name,
        "count": count,
        "model": model.name,
        "dim": model.dim,
        "fingerprint": snapshot.fingerprint,
        **facts,
        "pictures": network is not None,
        "index": "none",
        "views": [],
        "background": background and asdict(background),
        "files": {"folder": f"data/{data.name}/", "chunk_rows": CHUNK_ROWS},
    }
    if network:
        entry["network"] = network
    return {"format": FORMAT, "version": VERSION, "collections": [entry]}


def _column_types(snapshot: Snapshot, names: set[str]) -> list[dict[str, str]]:
    fields = {field.name: field.type for field in snapshot.all_columns if field.name in names}
    return [{"name": name, "type": column_type(kind)} for name, kind in fields.items()]


def _write_page(site: Path) -> None:
    """Write the server's page with a host that reads files, and a policy that blocks all other addresses."""
    shutil.copytree(
        WEB_FOLDER,
        site / "web",
        ignore=shutil.ignore_patterns("index.html", "login.html", "entered.js", "__pycache__"),
    )
    write(site / "web" / "host.js", _HOST)
    page = (WEB_FOLDER / "index.html").read_text(encoding="utf-8")
    assert _CHARSET in page
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    as_file = '<script src="web/static/opened-as-file.js" defer></script>'
    page = page.replace(_CHARSET, f"{_CHARSET}\n  {policy}\n  {as_file}", 1)
    write(site / "index.html", page.encode())


def _key(snapshot: Snapshot, count: int, with_exif: bool) -> str:
    """Return a short name for this state of the collection, exported this way."""
    state = f"{VERSION} {words_key(snapshot)} {count}{' exif' * with_exif}"
    derived = pa.BufferOutputStream()
    table = snapshot.table(_derived_names(snapshot))
    with pa.ipc.new_stream(derived, table.schema) as stream:
        stream.write_table(table)
    return hashlib.sha256(state.encode() + derived.getvalue()).hexdigest()[:12]


def _is_site(folder: Path) -> bool:
    """Return whether a folder has a site and nothing else, except a web host's own files."""
    if {path.name for path in folder.iterdir()} - _TOP:
        return False
    try:
        fields = json.loads((folder / "collections.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(fields, dict) and fields.get("format") == FORMAT
