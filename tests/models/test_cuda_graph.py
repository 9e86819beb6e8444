"""Networks on an NVIDIA GPU; without one, these tests are skipped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

from lookalike.models import efficientnet  # noqa: E402
from lookalike.models.cuda_graph import CudaGraphs  # noqa: E402
from lookalike.models.registry import load_model  # noqa: E402


def sums(pixels: Any) -> Any:
    return pixels.float().sum(dim=(1, 2))


def drawn(count: int, seed: int = 0) -> Any:
    numbers = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return torch.from_numpy(numbers).cuda()


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 100])
def test_a_batch_of_any_size_has_the_numbers_of_the_network_itself(count: int) -> None:
    graphs = CudaGraphs(sums, "cuda")
    for seed in (1, 2):
        assert graphs(drawn(count, seed)).tolist() == sums(drawn(count, seed)).tolist()


def waits(pixels: Any) -> Any:
    """Twice the sums, by a network that waits for its numbers, which no graph can."""
    return sums(pixels) * (2 if pixels[0, 0, 0, 0].item() >= 0 else 1)


def test_a_network_that_waits_for_its_numbers_is_called_as_it_is() -> None:
    graphs = CudaGraphs(waits, "cuda")
    for count in (5, 5, 100):
        assert graphs(drawn(count)).tolist() == (2 * sums(drawn(count))).tolist()


def test_a_recording_that_fails_is_not_tried_again_and_leaves_the_thread_on_its_stream() -> None:
    calls = []

    def counted(pixels: Any) -> Any:
        calls.append(len(pixels))
        return waits(pixels)

    graphs = CudaGraphs(counted, "cuda")
    for count in (5, 100):
        graphs(drawn(count))
    assert calls == [8, 8, 5, 100]  # once to warm up, once to record
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_the_second_gpu_is_used_by_threads_that_have_not_chosen_it() -> None:
    graphs = CudaGraphs(sums, "cuda:1")
    batches = [drawn(1 + seed % 7, seed).to("cuda:1") for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: graphs(one).tolist(), batches))
    assert found == [sums(one).tolist() for one in batches]


def test_threads_do_not_mix_up_their_pictures() -> None:
    graphs = CudaGraphs(sums, "cuda")
    batches = [drawn(1 + seed % 7, seed) for seed in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: graphs(one).cpu().tolist(), batches))
    assert found == [sums(one).tolist() for one in batches]


def test_networks_that_begin_at_the_same_time_are_recorded_one_after_the_other() -> None:
    networks = [CudaGraphs(lambda pixels, by=by: by * sums(pixels), "cuda") for by in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda one: [one(drawn(count)).tolist() for count in (1, 5, 9, 17)], networks))
    expected = [sums(drawn(count)).cpu() for count in (1, 5, 9, 17)]
    assert found == [[(by * one).tolist() for one in expected] for by in (1, 2, 3)]
    assert all(recorded for one in networks for recorded in one._recorded.values())


def test_the_error_of_a_network_is_its_own() -> None:
    def fails(pixels: Any) -> Any:
        raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        CudaGraphs(fails, "cuda")(drawn(2))


def test_the_built_in_network_gives_the_vectors_of_the_cpu_in_batches_of_any_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 224, 224, 3), np.uint8)
    there, here = (load_model(device=device).embed_pixels(pixels) for device in ("cuda", "cpu"))
    assert np.abs(there - here).max() < 1e-6


def test_without_room_for_a_graph_the_memory_is_full_but_for_the_fewest_pictures() -> None:
    def large(pixels: Any) -> Any:
        return sums(pixels) + torch.zeros(len(pixels) << 26, device="cuda")[0]  # 0.27 GB a picture

    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(free - 3_000_000_000, dtype=torch.uint8, device="cuda")
    graphs = CudaGraphs(large, "cuda")
    with pytest.raises(torch.cuda.OutOfMemoryError, match="a graph of 8 pictures"):
        graphs(drawn(8))
    assert graphs(drawn(4)).tolist() == sums(drawn(4)).tolist()
    assert graphs._recorded[4]
    graphs.forget()
    less = torch.empty(1_500_000_000, dtype=torch.uint8, device="cuda")
    assert graphs(drawn(4)).tolist() == sums(drawn(4)).tolist()
    assert graphs._recorded[4] is None
    del taken, less


def test_a_gpu_that_others_fill_still_gives_all_vectors() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 224, 224, 3), np.uint8)
    expected = load_model(device="cuda").embed_pixels(pixels)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(free - 1_500_000_000, dtype=torch.uint8, device="cuda")
    found = efficientnet.load("cuda").embed_pixels(pixels)
    del taken
    assert np.abs(found - expected).max() < 1e-6
