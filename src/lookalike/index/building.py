"""Building an index and keeping it up to date: plan, train, fill, measure, commit."""

from __future__ import annotations

import hashlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, call_of_build
from lookalike.index.faiss_library import emptied, in_memory, mapped, on_one_thread, trained
from lookalike.index.graph import Graph
from lookalike.index.index import Index
from lookalike.index.info import (
    IndexFiles,
    IndexInfo,
    Slot,
    commit,
    file_sha256,
    fixed_sha256,
    is_whole,
    json_path,
    read_info,
)
from lookalike.index.plans import check_wishes, choose
from lookalike.index.recall import NEIGHBOURS, Truth, draw_sample
from lookalike.index.writer import Filling, Old
from lookalike.parallel import cores, in_order
from lookalike.storage.files import TEMPORARY_SUFFIX, local_copy, replacing, storage_error, write_bytes
from lookalike.storage.part_state import PartState
from lookalike.storage.state import State
from lookalike.storage.stores import is_remote
from lookalike.storage.writing import writing

Progress = Callable[[int, int], None]
Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

_TIMED_QUERIES = 30
_WORK_BYTES = 1 << 28
_THREADS = 8
# If two steps with more lists find no more than this, there are too few candidates.
_GAIN = 0.002
# An index that has grown to twice its training set, or shrunk to half, is trained again.
_GROWTH = 2


def build_index(
    root: Path,
    kind: str = "auto",
    *,
    max_memory_bytes: int | None = None,
    min_recall: float = 0.95,
    on_progress: Progress | None = None,
) -> IndexInfo:
    """Build and measure the index of the collection at `root`; it replaces an existing one.

    `kind` is one of `KINDS`, or `auto` to choose by the number of rows, the dimension and memory. Trains on a
    sample and adds part by part, straight into the file, so the index may be larger than memory. Building and
    searching use at most `max_memory_bytes` on top of the program itself. If `min_recall` cannot be reached,
    the best index is built, and `reason` says so.
    Raises `LookalikeError` for options that cannot be met, `LockedError` while another process writes.
    """
    check_wishes(kind, max_memory_bytes, min_recall)
    with writing(root):
        return _built(State.read(root), kind, max_memory_bytes, min_recall, on_progress)


def refresh(root: Path, *, on_progress: Progress | None = None) -> IndexInfo | None:
    """Bring the index of the collection at `root` up to date; None if there is none.

    New and changed parts are added, removed parts are left out, and the others are copied from the existing
    file. The recall is measured again, and the search is tuned again if it fell too low. If that does not
    help, if the number of rows has doubled or halved, if the memory limit would be exceeded, if a graph
    has lost rows, or if a file is damaged, the index is rebuilt with the same options.
    """
    if read_info(root) is None:
        return None
    with writing(root):
        stored = read_info(root)
        if stored is None:  # removed meanwhile
            return None
        info, files = stored
        state = State.read(root)
        if info.fingerprint == state.fingerprint:
            return info
        return _renewed(state, info, files, on_progress) or _built(
            state, info.wanted, info.max_memory_bytes, info.min_recall, on_progress
        )


def _built(
    state: State,
    kind: str,
    max_memory_bytes: int | None,
    min_recall: float,
    on_progress: Progress | None,
) -> IndexInfo:
    """Plan, train, fill, tune and commit an index of a state; raises as `build_index`."""
    started = time.perf_counter()
    parts, states = state.parts, _part_states(state)
    sizes, dim = [one.count for one in parts], state.manifest.model.dim
    if not parts:
        raise LookalikeError(
            f"{state.root} has no images to index",
            f"build it first: {call_of_build(state.root)}",
        )
    plan = choose(sum(sizes), dim, kind, max_memory_bytes)
    # Training makes two copies of it.
    sample_bytes = max_memory_bytes and max_memory_bytes // 8
    training, truth = draw_sample(parts, sizes, dim, plan.lists, sample_bytes)
    empty = trained(plan.factory, training)
    del training
    info = IndexInfo(
        kind=plan.kind, why=plan.why, reason="", recall=0, latency_ms=0, build_s=0, bytes=plan.bytes,
        parameters={}, parts=states, fingerprint=state.fingerprint, dim=dim, lists=plan.lists,
        refine_bits=plan.refine_bits, wanted=kind, min_recall=min_recall,
        max_memory_bytes=max_memory_bytes, trained_rows=sum(sizes),
    )  # fmt: skip
    with _work_file(state.root) as path:
        filling: Filling | Graph = Graph(path, empty)
        if plan.kind != "hnsw":
            filling = Filling(path, empty, sum(sizes), _work_bytes(info))
        slots = _fill(filling, parts, [None] * len(parts), truth, on_progress)
        info = _tuned(Index(info, mapped(path)), truth)
        info = replace(info, build_s=time.perf_counter() - started)
        return _committed(state.root, info, path, slots, truth)


def _renewed(
    state: State, old: IndexInfo, files: IndexFiles, on_progress: Progress | None
) -> IndexInfo | None:
    """Index the new state with what the old index learned; None if it has to be trained again."""
    parts, states = state.parts, _part_states(state)
    if not _can_grow(old, states):
        return None
    total = sum(rows for _, _, rows in states)
    folder = json_path(state.root).parent
    if not all((folder / name).exists() for name in (files.name, files.truth)):
        return None
    copied = local_copy(folder / files.name, files.sha256)
    if not is_whole(copied, old, files) or file_sha256(folder / files.truth) != files.truth_sha256:
        return None
    starts = dict(zip(map(tuple, old.parts), _starts(old.parts), strict=True))
    kept = [starts.get(tuple(state)) for state in states]
    moved = _moved(old, kept, states)
    truth = Truth.read(folder / files.truth).moved(moved)
    info = replace(old, parts=states, fingerprint=state.fingerprint)
    source = Old(copied, files.slots, moved)
    with _work_file(state.root) as path:
        filling: Filling | Graph
        if old.kind == "hnsw":
            filling = Graph(path, in_memory(source.path))
        else:
            filling = Filling(path, emptied(mapped(source.path)), total, _work_bytes(info), source)
        slots = _fill(filling, parts, kept, truth, on_progress)
        index = Index(info, mapped(path))
        info = _measured(index, truth, info.parameters)
        if info.recall < info.min_recall:
            info = _tuned(index, truth)
            if info.recall < info.min_recall <= old.recall:
                return None
        return _committed(state.root, info, path, slots, truth)


def _can_grow(old: IndexInfo, states: Sequence[Sequence[Any]]) -> bool:
    """Whether what an index learned suits the rows of these parts, and it then fits into its memory."""
    total = sum(rows for _, _, rows in states)
    fits = old.max_memory_bytes is None or old.bytes * total <= old.max_memory_bytes * old.count
    if not total or not old.trained_rows / _GROWTH < total < old.trained_rows * _GROWTH or not fits:
        return False
    return old.kind != "hnsw" or states[: len(old.parts)] == old.parts


def _fill(
    filling: Filling | Graph,
    parts: Sequence[PartState],
    kept: Sequence[int | None],
    truth: Truth,
    on_progress: Progress | None,
) -> list[Slot]:
    """Put all parts into the file; `kept` says where each part's rows start in the old one, or None.

    True neighbours are collected on the way. A part is read while the previous one is being added.
    """
    sizes = [part.count for part in parts]
    new = [part for part, old_start in zip(parts, kept, strict=True) if old_start is None]
    with filling, closing(_encoded(filling, new)) as coming:
        done = 0
        for size, old_start in zip(sizes, kept, strict=True):
            if old_start is None:
                vectors, encoded = next(coming)
                filling.add(encoded)
                truth.add(done, vectors)
            else:
                filling.keep(old_start, size)
            done += size
            if on_progress:
                on_progress(done, sum(sizes))
        filling.finish()
        return list(filling.slots)


def _encoded(
    filling: Filling | Graph, parts: Sequence[PartState]
) -> Generator[tuple[Vectors, Any], None, None]:
    """The vectors of each part and their encoded form, in order; as many run ahead as there are cores.

    In each thread faiss uses only that thread: this costs less than dividing each part.
    """
    threads = min(_THREADS, cores())

    def encoded(part: PartState) -> tuple[Vectors, Any]:
        vectors = part.embeddings()
        return vectors, filling.encode(vectors)

    with ThreadPoolExecutor(threads, initializer=on_one_thread) as pool:
        yield from in_order(encoded, parts, pool, ahead=threads)


def _moved(old: IndexInfo, kept: Sequence[int | None], states: Sequence[Sequence[Any]]) -> Rows:
    """The new row number of each row of the old state, or -1 if it is gone."""
    moved = np.full(old.count, -1, np.int64)
    for old_start, new_start, (_, _, size) in zip(kept, _starts(states), states, strict=True):
        if old_start is not None:
            moved[old_start : old_start + size] = np.arange(new_start, new_start + size)
    return moved


def _starts(states: Sequence[Sequence[Any]]) -> list[int]:
    """The number of each part's first row."""
    return [0, *accumulate(int(rows) for _, _, rows in states)][: len(states)]


def _tuned(index: Index, truth: Truth) -> IndexInfo:
    """Find the fastest parameters that reach the recall, or else those with the highest recall."""
    fastest: IndexInfo | None = None
    best = replace(index.info, recall=-1)
    for refine in (8, 32) if index.info.refine_bits else (1,):
        seen: list[float] = []
        for parameters in steps(index.info, refine):
            if fastest and parameters.get("nprobe", 0) >= fastest.parameters.get("nprobe", 0):
                break  # more candidates from as many lists can only be slower
            found = _answers(index, truth, parameters)
            seen.append(truth.recall(found))
            if truth.reaches(found, index.info.min_recall):
                reached = _measured(index, truth, parameters)
                if fastest is None or reached.latency_ms < fastest.latency_ms:
                    fastest = reached
                break
            if seen[-1] > best.recall:
                best = replace(index.info, parameters=parameters, recall=seen[-1])
            if len(seen) > 4 and seen[-1] - seen[-3] < _GAIN:
                break  # the missing neighbours are not in other lists
    return fastest or _measured(index, truth, best.parameters)


def steps(info: IndexInfo, refine: int) -> Iterator[dict[str, int]]:
    """The parameters to try, from the fastest to the most thorough: 1, 2, 3, 4, 6, 8, 12, 16, 24..."""
    candidates = {"refine": refine} if info.refine_bits else {}
    if info.kind in ("flat", "rabitq"):
        yield candidates
        return
    name, first, last = ("ef_search", 16, 1024) if info.kind == "hnsw" else ("nprobe", 1, info.lists)
    efforts = sorted({first * 2**power * share // 2 for power in range(32) for share in (2, 3)})
    for effort in [effort for effort in efforts if effort < last] + [last]:
        yield {**candidates, name: effort}


def _measured(index: Index, truth: Truth, parameters: Mapping[str, int]) -> IndexInfo:
    """Measure these parameters; returns the info with their recall, latency and reason."""
    times = []
    for query in truth.queries[:_TIMED_QUERIES]:
        started = time.perf_counter()
        index.ask(query[None], _asked(index.info), parameters)
        times.append(time.perf_counter() - started)
    info = replace(
        index.info,
        parameters=parameters,
        recall=truth.recall(_answers(index, truth, parameters)),
        latency_ms=statistics.median(times) * 1e3,
    )
    return replace(info, reason=_reason(info))


def _answers(index: Index, truth: Truth, parameters: Mapping[str, int]) -> Rows:
    return index.ask(truth.queries, _asked(index.info), parameters)[1]


def _asked(info: IndexInfo) -> int:
    """How many to ask for: ten neighbours and the query's own row, or as many as there are."""
    return min(NEIGHBOURS + 1, info.count)


def _reason(info: IndexInfo) -> str:
    """One sentence: how many vectors, what the index does, how fast it is, and what could not be reached."""
    size = f"{info.count:,} vectors of {info.dim:,}"
    text = f"{size}: {info.why}, {info.latency_ms:.2g} ms a query"
    if info.wanted == "auto" and info.kind == "flat":
        text = f"{size}: exact search takes {info.latency_ms:.2g} ms, which is fast enough"
    if info.recall < info.min_recall:
        limit = f" in {info.max_memory_bytes:,} bytes" if info.max_memory_bytes else ""
        text += f"; recall {info.recall:.2f} is the best it reaches{limit}, not {info.min_recall:.2f}"
    return text


def _work_bytes(info: IndexInfo) -> int:
    """The memory in bytes for sorting rows into lists."""
    return _WORK_BYTES if info.max_memory_bytes is None else min(_WORK_BYTES, info.max_memory_bytes // 4)


def _part_states(state: State) -> list[list[Any]]:
    """Number, checksum and row count of each part, as the JSON stores them."""
    return [[one.part.number, one.checksum, one.count] for one in state.parts]


@contextmanager
def _work_file(root: Path) -> Iterator[Path]:
    """A local path for an index under construction."""
    folder = json_path(root).parent
    if is_remote(folder):
        with tempfile.TemporaryDirectory() as work:
            yield Path(work) / f"index.faiss{TEMPORARY_SUFFIX}"
        return
    try:
        folder.mkdir(exist_ok=True)
        yield folder / f"index.faiss{TEMPORARY_SUFFIX}"
    except OSError as error:
        raise storage_error(folder, error) from error


def _committed(root: Path, info: IndexInfo, written: Path, slots: list[Slot], truth: Truth) -> IndexInfo:
    """Rename the file into place and name it in the JSON; returns the info with the file's size."""
    sha256, truth_bytes = file_sha256(written), truth.to_bytes()
    info = replace(info, bytes=written.stat().st_size)
    path = json_path(root).with_name(f"index-{sha256[:12]}.faiss")
    truth_path = path.with_name(f"index-{sha256[:12]}.npz")
    files = IndexFiles(
        path.name, info.bytes, slots, fixed_sha256(written, slots, info.count), sha256,
        truth_path.name, hashlib.sha256(truth_bytes).hexdigest(),
    )  # fmt: skip
    write_bytes(truth_path, truth_bytes)
    if is_remote(path):
        with replacing(path) as target, written.open("rb") as source:  # type: ignore[arg-type]
            shutil.copyfileobj(source, target)
    else:
        written.replace(path)
    commit(root, info, files)
    return info
