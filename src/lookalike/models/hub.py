"""The hub: fetches the files of a published model because it was named, and pins them to a revision.

Everything goes through huggingface_hub, so its settings hold: HF_HOME and HF_HUB_CACHE say where files are
kept, HF_HUB_OFFLINE that none is fetched, HF_ENDPOINT that a mirror is asked.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lookalike.errors import ExtraError, LookalikeError, ModelError, counted, one_line
from lookalike.models.known import PUBLISHED_MODELS
from lookalike.models.spelling import close_names

# What is fetched is said here before, with its size.
logger = logging.getLogger(__name__)

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_COMMIT = re.compile("[0-9a-f]{40}")
# What goes wrong on this machine, not at the hub.
_ON_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR}
_PATIENCE_S = 20.0  # with a hub that does not answer; huggingface_hub would wait without end
_PIECE = re.compile(r"-\d{5}-of-(\d{5})\.")  # model-00001-of-00003.safetensors


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files of a kind of model, by patterns as in `fnmatch`.

    Of each tuple in `needed` the first pattern that some file matches counts, and one has to. `extra` files
    are taken if they are there.
    """

    needed: tuple[tuple[str, ...], ...]
    extra: tuple[str, ...] = ()

    def among(self, names: Iterable[str]) -> list[str]:
        """The files to take, the needed ones last; raises `LookupError`, which says what is missing."""
        present = sorted(names)
        taken = [name for name in present if any(fnmatchcase(name, one) for one in self.extra)]
        for patterns in self.needed:
            found = ([name for name in present if fnmatchcase(name, one)] for one in patterns)
            first = next(filter(None, found), [])
            pieces = _PIECE.search(first[0]) if first else None
            if not first or (pieces and len(first) != int(pieces[1])):
                raise LookupError(" or ".join(patterns))
            taken += first
        return list(dict.fromkeys(taken))


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a model at one revision, 40 hexadecimal digits, in `folder`."""

    repository: str
    revision: str
    folder: Path
    names: tuple[str, ...]

    def matching(self, *patterns: str) -> list[Path]:
        """The paths of the files that match any of the patterns, by name."""
        return [self.folder / name for name in self.names if any(fnmatchcase(name, one) for one in patterns)]


def fetch(repository: str, wanted: Wanted, revision: str = "") -> Fetched:
    """The files of a repository; those that are not on this machine are fetched.

    `revision` is a commit, a branch or a tag: what this machine has of it is used as it is, so that nothing
    changes by itself. Empty means the main branch. Raises `ModelError` if the files can neither be found nor
    fetched, with what to do, and `ExtraError` without huggingface_hub.
    """
    check_repository(repository, revision)
    found = find(repository, wanted, revision)
    if found is None:
        _download(repository, wanted, revision)
        found = find(repository, wanted, revision)
    if found is None:
        raise ModelError(f"{repository} changed while it was fetched", "try again")
    return found


def fetch_left_out(files: Fetched, *names: str) -> None:
    """Fetch files that may be in a repository and that another program, which had no use for them, left out.

    At the first that cannot be fetched that is said, and the rest are left. The hub is not asked again for a
    file that it does not have.
    """
    library = _library()
    cache = library.constants.HF_HUB_CACHE
    for name in names:
        if library.try_to_load_from_cache(files.repository, name, cache, files.revision) is not None:
            continue  # it is here, or the hub does not have it
        try:
            library.hf_hub_download(files.repository, name, revision=files.revision, cache_dir=cache)
        except Exception as error:  # of many libraries below
            if type(error).__name__ not in ("EntryNotFoundError", "RemoteEntryNotFoundError"):
                repository = files.repository
                logger.info("%s of %s is not on this machine, and could not be fetched", name, repository)
                return


def find(repository: str, wanted: Wanted, revision: str = "") -> Fetched | None:
    """The files of a repository if all of them are on this machine; nothing is fetched."""
    root = _place(repository)
    commit = revision
    try:
        if not _COMMIT.fullmatch(revision):
            commit = (root / "refs" / (revision or "main")).read_text("ascii").strip()
        folder = root / "snapshots" / commit
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        taken = wanted.among(names)
    except (OSError, ValueError, LookupError):
        return None
    return Fetched(repository, commit, folder, tuple(taken)) if _COMMIT.fullmatch(commit) else None


def is_repository(name: str) -> bool:
    """Whether a name has the form ORG/NAME."""
    return bool(_REPOSITORY.fullmatch(name)) and ".." not in name


def check_repository(repository: str, revision: str = "") -> None:
    """Raise `ModelError` unless a repository is called ORG/NAME and the revision is a name."""
    if not is_repository(repository):
        raise ModelError(f"{repository!r} is not the name of a repository", "it is called ORG/NAME")
    if revision and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise ModelError(f"{revision!r} is not a revision", "it is a commit, a branch or a tag")


def checksum(files: Sequence[Path]) -> str:
    """The SHA-256 of a file; of several, that of the lines `SHA256 NAME` in the order of their names."""
    digests = {}
    for path in sorted(files):
        with path.open("rb") as file:
            digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256("".join(f"{one} {name}\n" for name, one in digests.items()).encode()).hexdigest()


def _near(repository: str) -> list[str]:
    """The repositories that may be meant by a misspelled one: of known models, and those on this machine."""
    here = Path(_library().constants.HF_HUB_CACHE).glob("models--*--*")
    known = [one.repository for one in PUBLISHED_MODELS]
    known += [one.name.removeprefix("models--").replace("--", "/", 1) for one in here]
    return [] if repository in known else close_names(repository, known)


def _place(repository: str) -> Path:
    """Where the files of a repository are kept on this machine."""
    constants = _library().constants
    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
    except ImportError as error:
        raise ExtraError(f"published models need huggingface_hub ({one_line(error)})", "hub") from None
    return huggingface_hub


def _download(repository: str, wanted: Wanted, revision: str) -> None:
    """Fetch what is wanted at one commit, after saying so; raises `ModelError`."""
    library = _library()
    try:
        about = library.HfApi().model_info(
            repository, revision=revision or None, files_metadata=True, timeout=_PATIENCE_S
        )
        files = {one.rfilename: one for one in about.siblings or ()}
        try:
            names = wanted.among(files)
        except LookupError as error:
            raise ModelError(
                f"{repository} has no {error.args[0]}", "it is another kind of model, or has other weights"
            ) from None
        size = sum(files[name].size or 0 for name in names)
        logger.info(
            "fetching %s, revision %.8s: %s, %s",
            repository,
            about.sha,
            counted(len(names), "file"),
            _size(size),
        )
        for name in names:
            path = Path(library.hf_hub_download(repository, name, revision=revision or None))
            _check_file(path, files[name])
    except LookalikeError:
        raise
    except Exception as error:  # of many libraries below
        raise _unreachable(error, repository, wanted, revision) from None


def _check_file(path: Path, about: Any) -> None:
    """Remove a large file that is not the one that the hub has a checksum of, and raise `ModelError`."""
    said = about.lfs and about.lfs.get("sha256")
    if said and checksum([path]) != said:
        path.resolve().unlink()  # what the file's name links to
        path.unlink(missing_ok=True)
        raise ModelError(f"{path} came damaged: the checksum does not match, it was removed", "try again")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _unreachable(error: Exception, repository: str, wanted: Wanted, revision: str) -> ModelError:
    """What went wrong at the hub, and what to do."""
    near = _near(repository)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    kind = type(error).__name__
    if isinstance(error, OSError) and error.errno in _ON_DISK:
        return ModelError(
            f"{repository} cannot be written to {_place(repository)}: {error.strerror}",
            "make room there, or let HF_HOME name another folder",
        )
    if kind == "GatedRepoError":
        return ModelError(
            f"{repository} is given only to those who agree to its terms",
            "agree to them on its page, then log in: hf auth login",
        )
    if kind == "RepositoryNotFoundError":
        return ModelError(
            f"the hub has no model {repository}, or it is private", meant.rstrip() or "check its name"
        )
    if kind == "RevisionNotFoundError":
        return ModelError(f"{repository} has no revision {revision}", "check it, or leave it out")
    off = kind == "OfflineModeIsEnabled"
    reason = "HF_HUB_OFFLINE is set" if off else f"the hub cannot be reached ({one_line(error)})"
    files = ", ".join(" or ".join(one) for one in wanted.needed)
    # A commit is found by its folder, a branch by the file that names its commit.
    pinned = _COMMIT.fullmatch(revision)
    held = f"in snapshots/{revision}/" if pinned else f"refs/{revision or 'main'} and in snapshots/"
    return ModelError(
        f"{repository} is not on this machine, and {reason}",
        f"{meant}load it where there is a network, and copy the folder {_place(repository)} to the same "
        f"place here: it holds {held} the files {files}; "
        "or bring the folder that `lookalike.export_model(name, out=folder)` makes of it there",
    )
