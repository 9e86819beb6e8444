"""A hub on the loopback: serves files of a folder as the hub's API does, as far as huggingface_hub asks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Hub(BaseHTTPRequestHandler):
    """`files` maps ORG/NAME to a revision and a folder; `refused` maps it to a status and an error code."""

    files: dict[str, tuple[str, Path]]
    refused: dict[str, tuple[int, str]]
    asked: list[str]
    damaged: set[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._about("/".join(parts[2:4]))
        elif parts[2:3] == ["resolve"]:
            self._file("/".join(parts[:2]), "/".join(parts[4:]))
        else:
            self._refuse(404, "RepoNotFound")

    do_HEAD = do_GET

    def _about(self, repository: str) -> None:
        if repository in self.refused:
            return self._refuse(*self.refused[repository])
        if repository not in self.files:
            return self._refuse(404, "RepoNotFound")
        revision, folder = self.files[repository]
        siblings: list[dict[str, Any]] = []
        for path in sorted(folder.iterdir()):
            one = {"rfilename": path.name, "size": path.stat().st_size, "blobId": "0" * 40}
            if path.suffix == ".safetensors":
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                lfs = {"sha256": "0" * 64 if path.name in self.damaged else digest}
                one["lfs"] = {**lfs, "size": path.stat().st_size, "pointerSize": 130}
            siblings.append(one)
        body = {"id": repository, "modelId": repository, "sha": revision, "siblings": siblings, "tags": []}
        self._send(json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _file(self, repository: str, name: str) -> None:
        revision, folder = self.files[repository]
        if not (folder / name).is_file():
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": revision})
        data = (folder / name).read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        self._send(data, {"X-Repo-Commit": revision, "ETag": etag})

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "X-Error-Code": code, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(**files: tuple[str, Path]) -> Iterator[tuple[str, type[Hub]]]:
    """The address of a hub with `files`, of the organisation `tests`, and its state."""
    given = {f"tests/{name}": one for name, one in files.items()}
    state = type("State", (Hub,), {"files": given, "refused": {}, "asked": [], "damaged": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
