"""From samples to what a model sees of them: read, hashed and decoded, by processes, threads or a GPU."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from lookalike.builder.worker_process import Work
from lookalike.builder.workers import Answer, Held, Prepared, Read, Workers
from lookalike.images.decoding import SharedBytes
from lookalike.models.looking import Seen, encoded, look_at, look_on_device
from lookalike.sources.local_file import LocalFile
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure

Prepare = Callable[[Sequence[Sample]], Sequence[Prepared | Failure]]

# Files that are held to be decoded on a GPU at a time, in bytes; a batch may be 256 large photographs.
_HELD_BYTES = 16_000_000


def prepared(
    samples: Sequence[Sample], *, work: Work, workers: Workers, decoder: Any = None
) -> list[Prepared | Failure]:
    """What is seen of each sample, in order, or why nothing is; `decoder` is for what `work` leaves to it."""
    if decoder is None:
        return list(_on_cpu(samples, work, workers))
    return list(_on_device(samples, work, workers, decoder))


def _on_cpu(samples: Sequence[Sample], work: Work, workers: Workers) -> Iterator[Prepared | Failure]:
    given = [_given(sample) for sample in samples]
    reads = [one for one in given if not isinstance(one, Failure)]
    answers = iter([answer for some in workers.answers(reads) for answer in some])
    for sample, one in zip(samples, given, strict=True):
        if isinstance(one, Failure):
            yield one
        else:
            answer = next(answers)
            yield answer if isinstance(answer, Prepared) else _looked(sample, _read(sample, one), work)


def _given(sample: Sample) -> Callable[[], bytes] | Failure:
    """What a process is given: a file of this machine, or what was read here, once."""
    if isinstance(sample.read, LocalFile):
        return sample.read
    data = _read(sample, sample.read)
    if isinstance(data, SharedBytes):  # to be decoded once for several models, so here
        return lambda: data
    return data if isinstance(data, Failure) else Held(data)


def _on_device(
    samples: Sequence[Sample], work: Work, workers: Workers, decoder: Any
) -> Iterator[Prepared | Failure]:
    at = 0
    for answers in workers.answers([sample.read for sample in samples]):
        some = samples[at : at + len(answers)]
        for held in _held(zip(some, answers, strict=True), work):
            yield from _decoded(held, work, decoder)
        at += len(answers)


Known = tuple[Sample, Read | Prepared | Failure]


def _held(answered: Iterable[tuple[Sample, Answer]], work: Work) -> Iterator[list[Known]]:
    """The answers, and what is read here instead, some at a time."""
    held: list[Known] = []
    size_bytes = 0
    for sample, answer in answered:
        one = answer or _read_alone(sample, work)
        held.append((sample, one))
        size_bytes += one.size_bytes if isinstance(one, Read) else 0
        if size_bytes > _HELD_BYTES:
            yield held
            held, size_bytes = [], 0
    yield held


def _decoded(held: Sequence[Known], work: Work, decoder: Any) -> Iterator[Prepared | Failure]:
    files = [one.file for _, one in held if isinstance(one, Read)]
    seen = iter(look_on_device(files, work.spec, decoder, thumbnails=work.thumbnails))
    for sample, one in held:
        if not isinstance(one, Read):
            yield one
        elif found := next(seen):
            yield Prepared(one.size_bytes, one.sha256, found)
        else:
            yield _looked(sample, bytes(one.file.data), work)


def _read_alone(sample: Sample, work: Work) -> Read | Prepared | Failure:
    """Read a file, and look at it if a GPU cannot decode it."""
    data = _read(sample, sample.read)
    if not isinstance(data, Failure) and (found := encoded(data, work.max_megapixels)):
        return Read(len(data), hashlib.sha256(data).hexdigest(), found)
    return _looked(sample, data, work)


def _looked(sample: Sample, data: bytes | Failure, work: Work) -> Prepared | Failure:
    if isinstance(data, Failure):
        return data
    (seen,) = look_at([data], work.spec, max_megapixels=work.max_megapixels, thumbnails=work.thumbnails)
    if isinstance(seen, Seen):
        return Prepared(len(data), hashlib.sha256(data).hexdigest(), seen)
    return Failure(sample.id, sample.uri, "decode", seen)


def _read(sample: Sample, read: Callable[[], bytes]) -> bytes | Failure:
    try:
        return read()
    except OSError as error:
        return Failure(sample.id, sample.uri, "read", error.strerror or str(error))
    except MemoryError:
        return Failure(sample.id, sample.uri, "read", "too large for this machine's memory")
