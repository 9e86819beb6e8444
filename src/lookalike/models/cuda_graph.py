"""Sends a network to an NVIDIA GPU in one piece: recorded for each size of batch, replayed for each call.

A network is some hundred small pieces of work. Sent one by one, each waits for Python's lock while other
threads read and hash files, and cuDNN plans its convolutions anew in each thread, so a build would run at a
fiftieth of the network's speed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lookalike.images.on_device import end_of
from lookalike.models.halving import is_out_of_memory

Tensor = Any  # torch.Tensor

# Batches are filled up to a power of two, at least this.
_LEAST = 4

# While one graph is recorded, no other may be, of any network, and nobody may wait for the whole device.
_recording = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A graph, and the memory that it reads and writes."""

    graph: Any
    given: Tensor
    found: Tensor


class CudaGraphs:
    """Runs `network`, from pixels uint8 (B, S, S, 3) to float32 (B, D) on the device, by CUDA graphs.

    The result is on the CPU. A network that cannot be recorded is called as it is. Safe to call from several
    threads, which have to use the default stream. Raises what the network raises, and `OutOfMemoryError` if
    there is no room for the graph of so many pictures: that of half as many is hardly slower for each.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], device: str) -> None:
        self._network = network
        self._stream = torch.cuda.Stream(device)  # where it is recorded
        self._device = self._stream.device  # with its number, whichever GPU a thread has chosen
        self._recorded: dict[int, _Recorded | None] = {}
        self._is_recordable = True
        self._lock = threading.Lock()

    def __call__(self, pixels: Tensor) -> Tensor:
        count = len(pixels)
        size = max(_LEAST, 1 << (count - 1).bit_length())
        with self._lock, torch.cuda.device(self._device):
            if size not in self._recorded and self._is_recordable:
                with _recording:
                    self._recorded[size] = self._record((size, *pixels.shape[1:]))
            recorded = self._recorded.get(size)
            if recorded is None:
                found = self._network(pixels)
            else:
                recorded.given[:count].copy_(pixels)
                recorded.graph.replay()
                found = recorded.found[:count]
            # Copied before the next call writes there, and waited for while that runs.
            copied = found.to("cpu", non_blocking=True)
            end = end_of(torch.cuda.current_stream())
        end.synchronize()
        return copied

    def forget(self) -> None:
        """Give back the memory of all graphs, and what PyTorch keeps for later."""
        with self._lock, _recording, torch.cuda.device(self._device):
            torch.cuda.synchronize()  # one may be running
            self._recorded.clear()
            torch.cuda.empty_cache()

    def _record(self, shape: tuple[int, ...]) -> _Recorded | None:
        """Record a call with pixels of a shape; None if a graph cannot do it, or has no room for a few."""
        given = torch.zeros(shape, dtype=torch.uint8, device=self._device)
        self._stream.wait_stream(torch.cuda.current_stream())
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        with torch.cuda.stream(self._stream):
            self._network(given)  # what it raises is its own; and cuDNN makes its plans
        self._stream.synchronize()
        needed = torch.cuda.max_memory_allocated() - before
        graph = torch.cuda.CUDAGraph()
        try:
            torch.cuda.empty_cache()
            if torch.cuda.mem_get_info()[0] < 2 * needed:  # a graph that fails midway keeps what it took
                if shape[0] == _LEAST:
                    return None
                raise torch.cuda.OutOfMemoryError(f"a graph of {shape[0]} pictures would run out of memory")
            # Twice the same stream: where a recording fails, PyTorch's own leaves it set for this thread.
            with (
                torch.cuda.stream(self._stream),
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
            ):
                found = self._network(given)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._is_recordable = False  # each attempt would keep more memory
            return None
        return _Recorded(graph, given, found)
