"""Pictures that wait for the model at the same time are embedded together, and each gets its own vector."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import picture
from serving import encoded, running

import lookalike
from lookalike.models.model import LoadedModel
from lookalike.models.runner import MAX_BATCH
from lookalike.models.spec import ModelSpec
from lookalike.server.workers import Workers

SPEC = ModelSpec("means", "", dim=3, size_px=4, crop=1.0)


def means(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(axis=(1, 2)).astype(np.float32)


def tile(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, np.uint8)


@pytest.fixture
def calls() -> list[int]:
    """The size of each call of a model."""
    return []


@pytest.fixture
def workers(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Workers on a machine of two cores."""
    monkeypatch.setattr("lookalike.server.workers.cores", lambda: 2)
    workers = Workers(calls.append)
    yield workers
    workers.close()


@asynccontextmanager
async def busy(workers: Workers) -> AsyncIterator[None]:
    """Both cores have something else to do until the block ends."""
    begun, release = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        begun.release()
        release.wait()

    held = [asyncio.create_task(workers.run(hold)) for _ in range(2)]
    for _ in held:
        await asyncio.to_thread(begun.acquire)
    try:
        yield
    finally:
        release.set()
        await asyncio.gather(*held)


async def while_busy(workers: Workers, *waiting: Coroutine[Any, Any, Any]) -> list[Any]:
    """What comes of these when all of them wait while both cores have something else to do."""
    async with busy(workers):
        tasks = [asyncio.create_task(one) for one in waiting]
        await asyncio.sleep(0)  # each has taken its first step, and waits
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_those_that_wait_go_in_one_call_for_each_core(workers: Workers, calls: list[int]) -> None:
    model = LoadedModel(SPEC, means)
    found = asyncio.run(while_busy(workers, *(workers.features(model, tile(value)) for value in range(8))))
    assert [features.tolist() for features in found] == [[[value] * 3] for value in range(8)]
    assert calls[0] == 4
    assert sum(calls) == 8


def test_one_that_comes_alone_does_not_wait(workers: Workers, calls: list[int]) -> None:
    assert asyncio.run(workers.features(LoadedModel(SPEC, means), tile(7))).tolist() == [[7, 7, 7]]
    assert calls == [1]


def test_a_call_has_a_limit(workers: Workers, calls: list[int]) -> None:
    model = LoadedModel(SPEC, means)
    asyncio.run(while_busy(workers, *(workers.features(model, tile(1)) for _ in range(3 * MAX_BATCH))))
    assert max(calls) == MAX_BATCH
    assert sum(calls) == 3 * MAX_BATCH


def test_each_model_has_calls_of_its_own(workers: Workers) -> None:
    models = [LoadedModel(SPEC, means), LoadedModel(SPEC, lambda pixels: means(pixels) + 100)]
    waiting = (workers.features(models[value % 2], tile(value)) for value in range(6))
    found = asyncio.run(while_busy(workers, *waiting))
    assert [features[0, 0] for features in found] == [0, 101, 2, 103, 4, 105]


def test_what_goes_wrong_is_told_to_all_and_the_next_are_served(workers: Workers) -> None:
    def failing(pixels: np.ndarray) -> np.ndarray:
        raise MemoryError

    model = LoadedModel(SPEC, failing)
    found = asyncio.run(while_busy(workers, *(workers.features(model, tile(1)) for _ in range(4))))
    assert [type(one) for one in found] == [MemoryError] * 4
    assert asyncio.run(workers.features(LoadedModel(SPEC, means), tile(1))).shape == (1, 3)


def test_one_that_gave_up_is_left_out(workers: Workers, calls: list[int]) -> None:
    model = LoadedModel(SPEC, means)

    async def one_of_two_gives_up() -> np.ndarray:
        async with busy(workers):
            tasks = [asyncio.create_task(workers.features(model, tile(value))) for value in (1, 2)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.wait(tasks[:1])
        return await tasks[1]

    assert asyncio.run(one_of_two_gives_up()).tolist() == [[2, 2, 2]]
    assert calls == [1]


def test_many_clients_at_once_are_told_what_one_alone_is_told(collection: lookalike.Collection) -> None:
    pictures = [encoded(picture(seed)) for seed in range(4)]
    headers = {"Content-Type": "image/png"}
    with running(collection) as url, httpx.Client(base_url=url) as client, ThreadPoolExecutor(8) as clients:

        def ask(number: int) -> list[str]:
            answer = client.post("api/photos/search?k=5", content=pictures[number % 4], headers=headers)
            return [hit["id"] for hit in answer.json()["hits"]]

        alone = [ask(number) for number in range(4)]
        together = list(clients.map(ask, range(40)))
        figures = client.get("metrics").text
    assert together == alone * 10
    assert "lookalike_batch_pictures_sum 44.0" in figures
