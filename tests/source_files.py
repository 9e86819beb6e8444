"""What the tests of sources share: shards made by hand, and how their listing is looked at."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from conftest import CLASSES, picture

from lookalike.sources.folder import Folder
from lookalike.sources.opening import open_source
from lookalike.sources.sample import Sample
from lookalike.sources.tfrecord_format import encode_example, framed
from lookalike.storage.parts import Failure


def jpeg(seed: int = 0) -> bytes:
    """A small picture that another seed makes another."""
    file = io.BytesIO()
    picture(seed, list(CLASSES.values())[seed % 3], (16, 12)).save(file, "JPEG")
    return file.getvalue()


def tar_of(
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], format_: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tar of these members, in their order, padded no further than it has to be."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format_) as tar:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
        end = file.tell()
    return file.getvalue()[: end + 1024]


def records_of(*examples: Mapping[str, bytes | int | float]) -> bytes:
    """A TFRecord file of these, one feature of one value each."""
    wrapped = ({name: [value] for name, value in one.items()} for one in examples)
    return b"".join(framed(encode_example(one)) for one in wrapped)


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def listed(address: object, **columns: str) -> tuple[dict[str, Sample], list[Failure]]:
    """The samples of a source by id, and its failures."""
    entries = list(open_source(str(address), **columns).samples())
    samples = {one.id: one for one in entries if isinstance(one, Sample)}
    failures = [one for one in entries if isinstance(one, Failure)]
    assert len(samples) + len(failures) == len(entries)
    return samples, failures


def images(address: object, **columns: str) -> dict[str, bytes]:
    return {id_: sample.read() for id_, sample in listed(address, **columns)[0].items()}


def metadata(address: object, **columns: str) -> dict[str, dict]:
    return {id_: dict(sample.metadata) for id_, sample in listed(address, **columns)[0].items()}


def touch(root: Path, *names: str) -> None:
    """Files of these names below a folder, each with bytes of its own."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"bytes of " + name.encode())


def ids(root: Path) -> list[str]:
    """The ids of the samples of a folder, where nothing fails."""
    entries = list(Folder(root).samples())
    assert [one for one in entries if isinstance(one, Failure)] == []
    return [one.id for one in entries]


def failures(root: Path) -> list[tuple[str, str]]:
    """The ids and errors of what fails in the listing of a folder."""
    found = [one for one in Folder(root).samples() if isinstance(one, Failure)]
    assert {one.stage for one in found} <= {"list"}
    return [(one.id, one.error) for one in found]


def only_sample(root: Path) -> Sample:
    (sample,) = Folder(root).samples()
    assert isinstance(sample, Sample)
    return sample
