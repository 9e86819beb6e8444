"""Writes an evaluation as one self-contained HTML page: tables, bars, pictures of the worst queries."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from lookalike.analysis.bootstrap import Estimate
from lookalike.analysis.comparison import Comparison, Contender
from lookalike.analysis.judgement import Answer, Evaluation, Splits, Worst
from lookalike.errors import counted
from lookalike.images.decoding import decode
from lookalike.images.fit import fit
from lookalike.images.jpeg import encode_jpeg
from lookalike.storage.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """The JPEGs of queries, and of what was found, by id."""

    queries: Mapping[str, bytes]
    found: Mapping[str, bytes]


_MOST_CLASSES = 24  # in the table of confusions; above, the commonest pairs are listed instead
_MOST_PAIRS = 30
_PICTURE_PX = 112  # as in report.css


def report_html(
    judged: Evaluation | Splits | Comparison, snapshot: Snapshot, gallery: Snapshot | None = None
) -> str:
    """A self-contained page; square thumbnails from `snapshot` show the worst queries.

    What was found is shown from the `gallery`, if it is another collection.
    """
    worst = [worst for one in _evaluations(judged) for worst in one.worst]
    thumbnails = Thumbnails(
        _small_ones(snapshot, {one.id for one in worst}),
        _small_ones(gallery or snapshot, {answer.id for one in worst for answer in one.answers}),
    )
    if isinstance(judged, Evaluation):
        return _page(f"Evaluation of {judged.name}", _evaluation(judged, thumbnails))
    if isinstance(judged, Splits):
        parts = (
            f"<h1>{escape(one.value)} among the others</h1>{_evaluation(one.evaluation, thumbnails)}"
            for one in judged.splits
        )
        return _page(f"Evaluation of {judged.name} by {judged.column}", "".join(parts))
    sections = [_comparison(judged)]
    for one in judged.contenders:
        sections.append(f"<h1>{escape(one.model)}</h1>{_evaluation(one.evaluation, thumbnails)}")
    return _page(f"Models on {judged.source}", "".join(sections))


def _small_ones(snapshot: Snapshot, ids: set[str]) -> dict[str, bytes]:
    """The part of each thumbnail that the page shows, as a JPEG."""
    shown = sorted(ids)
    jpegs = zip(shown, snapshot.thumbnails(snapshot.rows_of(shown)), strict=True)
    return {
        id_: encode_jpeg(fit(decode(jpeg, _PICTURE_PX).pixels, _PICTURE_PX, crop=1), 80)
        for id_, jpeg in jpegs
        if jpeg
    }


def _evaluations(judged: Evaluation | Splits | Comparison) -> list[Evaluation]:
    if isinstance(judged, Splits):
        return [one.evaluation for one in judged.splits]
    return [one.evaluation for one in judged.contenders] if isinstance(judged, Comparison) else [judged]


def _page(title: str, body: str) -> str:
    style = (files("lookalike.analysis") / "report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style><h1>{escape(title)}</h1>{body}</html>\n"
    )


def _comparison(compared: Comparison) -> str:
    names = list(compared.contenders[0].evaluation.overall)
    head = _cells("th", ["model", *names, "images/s", "bytes a vector", "Pareto front"])
    rows = [head]
    for one in compared.contenders:
        measured = "".join(f"<td>{_bar(one.evaluation.overall[name])}</td>" for name in names)
        rows.append(f"<th>{escape(one.model)}</th>{measured}" + _cells("td", _costs(one)))
    return (
        _table(rows) + "<p>A model is on the Pareto front if no other model is at least as good in "
        "MAP@R, speed and size, and better in one of them.</p>"
    )


def _costs(one: Contender) -> list[str]:
    speed = "not measured" if one.images_per_s is None else f"{one.images_per_s:,.0f}"
    return [speed, f"{one.vector_bytes:,}", "yes" if one.on_front else ""]


def _evaluation(judged: Evaluation, thumbnails: Thumbnails) -> str:
    facts = f"{counted(judged.queries, 'query')} among {counted(judged.gallery, 'item')}; "
    facts += f"{judged.model}, {judged.dim:,} dimensions."
    if judged.unlabelled:
        facts += f" Left out: {counted(judged.unlabelled, 'item')} without a label."
    if judged.singles:
        facts += f" {judged.singles:,} have nothing of their class to find, so they were not used as queries."
    if judged.without_duplicates:
        facts += " Byte-for-byte copies of a query were not ranked."
    return "".join(
        (
            f"<p>{facts} A range is the 95% bootstrap interval over the queries.</p>",
            "<h2>Measures</h2>",
            _measures(judged),
            "<h2>Confusions</h2>",
            _confusions(judged),
            "<h2>The worst queries</h2>",
            *(_worst(one, thumbnails) for one in judged.worst),
        )
    )


def _measures(judged: Evaluation) -> str:
    names = list(judged.overall)
    rows = [
        _cells("th", ["class", "items", *names]),
        _measure_row("all queries", judged.items, judged.overall),
    ]
    means = [f"{judged.per_class_mean[name]:.3f}" for name in names]
    for what, part in (("seen", judged.seen), ("unseen", judged.unseen)):
        if part:
            rows.append(_measure_row(f"{part.classes:,} {what} classes", part.queries, part.measures))
    rows.append(_cells("td", ["<b>mean of classes</b>", f"{len(judged.classes)} classes", *means]))
    rows += [_measure_row(escape(one.label), one.items, one.measures) for one in judged.classes]
    return _table(rows)


def _measure_row(name: str, items: int, measures: Mapping[str, Estimate]) -> str:
    bars = "".join(f"<td>{_bar(one)}</td>" for one in measures.values())
    return f"<th>{name}</th><td>{items:,}</td>{bars}"


def _bar(one: Estimate) -> str:
    """The mean as a number and a bar, with the interval as a line on it."""
    return (
        f"{one.value:.3f}<span>{one.low:.3f} to {one.high:.3f}</span>"
        f'<i><b style="width:{one.value:.1%}"></b>'
        f'<u style="left:{one.low:.1%};width:{one.high - one.low:.1%}"></u></i>'
    )


def _confusions(judged: Evaluation) -> str:
    """A table of true classes (rows) by the classes that the nearest vote for (columns)."""
    counts = {(one.label, one.predicted): one.count for one in judged.confusions}
    labels = sorted({name for pair in counts for name in pair})
    if len(labels) > _MOST_CLASSES:
        wrong = judged.mistakes[:_MOST_PAIRS]
        rows = [_cells("td", [escape(w.label), escape(w.predicted), f"{w.count:,}"]) for w in wrong]
        return _table([_cells("th", ["is", "taken for", "items"]), *rows])
    rows = [_cells("th", ["is \\ taken for", *map(escape, labels)])]
    for true in labels:
        asked = sum(counts.get((true, taken), 0) for taken in labels)
        cells = [_confusion_cell(counts.get((true, taken), 0), asked, true == taken) for taken in labels]
        rows.append(f"<th>{escape(true)}</th>{''.join(cells)}")
    return _table(rows)


def _confusion_cell(count: int, asked: int, right: bool) -> str:
    share = count / asked if asked else 0
    hue = 140 if right else 10
    return f'<td style="background:hsl({hue} 70% 50% / {share:.2f})">{count:,}</td>'


def _worst(one: Worst, thumbnails: Thumbnails) -> str:
    query = _figure(
        one.id, f"{one.label}: MAP@R {one.map_at_r:.2f}", thumbnails.queries.get(one.id, b""), "query"
    )
    found = (
        _figure(
            answer.id,
            _caption(answer),
            thumbnails.found.get(answer.id, b""),
            "right" if answer.label == one.label else "wrong",
        )
        for answer in one.answers
    )
    return f'<div class="row">{query}{"".join(found)}</div>'


def _caption(answer: Answer) -> str:
    return f"{answer.label}: {answer.score:.2f}"


def _figure(id_: str, caption: str, jpeg: bytes, kind: str) -> str:
    data = base64.b64encode(jpeg).decode()
    image = f'<img alt="" src="data:image/jpeg;base64,{data}">' if jpeg else ""
    shown = f"{image}<figcaption>{escape(caption)}</figcaption>"
    return f'<figure class="{kind}" title="{escape(id_)}">{shown}</figure>'


def _table(rows: Sequence[str]) -> str:
    return "<div><table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table></div>"


def _cells(tag: str, contents: Sequence[str]) -> str:
    return "".join(f"<{tag}>{one}</{tag}>" for one in contents)
