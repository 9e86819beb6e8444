"""`GET /docs`: the API description for people, on a page without scripts or other hosts."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lookalike.server.openapi import description

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font: 600 1.05rem ui-monospace, monospace; border-top: 1px solid #8884; padding-top: 1.5rem; }
pre { background: #8881; padding: .75rem; overflow: auto; font-size: .85rem; }
dt { font-family: ui-monospace, monospace; } summary { cursor: pointer; }
a { color: light-dark(#3a34c4, #a9a5ff); }
:root { color-scheme: light dark; color: light-dark(#17171c, #ededf2); background: light-dark(#fff, #111); }
"""


def docs(request: Request) -> Response:
    """The page."""
    return HTMLResponse("".join(_page(description(list(request.app.state.collections)))))


def docs_style(request: Request) -> Response:
    """Its style sheet, served separately because the page may not contain inline styles."""
    return Response(_STYLE, media_type="text/css")


def _page(about: dict[str, Any]) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><title>Lookalike API</title>'
    yield '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="docs/style.css">'
    yield f"<main><h1>Lookalike API {about['info']['version']}</h1><p>{_text(about['info']['description'])} "
    yield 'The same in machine-readable form: <a href="openapi.json">openapi.json</a>.</p>'
    for path, operations in about["paths"].items():
        for method, operation in operations.items():
            yield f"<h2>{method.upper()} {_text(path)}</h2><p>{_text(operation['summary'])}.</p>"
            yield from _parameters(operation)
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                yield _schema(f"Body: {kind}", body["schema"])
            for kind, body in operation["responses"]["200"]["content"].items():
                yield _schema(f"Answer: {kind}", body["schema"])
    yield "<h1>Schemas</h1>"
    for name, schema in about["components"]["schemas"].items():
        yield f'<div id="{name}">{_schema(name, schema)}</div>'
    yield "</main>"


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    if "parameters" in operation:
        yield "<dl>"
        for one in operation["parameters"]:
            yield f"<dt>{one['name']}</dt><dd>{_text(one['description'])}</dd>"
        yield "</dl>"


def _schema(title: str, schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<p>{_text(title)}, <a href="#{name}">{name}</a></p>'
    if not schema:
        return f"<p>{_text(title)}</p>"
    shown = _text(json.dumps(schema, indent=2))
    return f"<details><summary>{_text(title)}</summary><pre>{shown}</pre></details>"


def _text(value: str) -> str:
    return html.escape(value)
