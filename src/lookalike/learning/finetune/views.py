"""What the trained layers get of pictures: other views for training, the pictures as they are for judging."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike.learning.finetune.augmentation import augmented, draws
from lookalike.learning.finetune.network import Network
from lookalike.learning.finetune.pictures import Pictures

Ints = NDArray[np.int64]
Progress = Callable[[int], None]

VIEWS = 4  # of each picture, where the layers that are not trained are most of the work
MAP_BYTES = 192 * 7 * 7 * 2  # of a view after the front of the built-in network
_AT_ONCE = 32


class Views:
    """The views of the pictures at `places` (N,), prepared for the trained layers of a network.

    A split network sees `VIEWS` views of each picture in turn, which are kept if `holds`, and are
    made again each time if not; another network sees a new view each time. The seed decides the views.
    """

    def __init__(
        self, network: Network, pictures: Pictures, places: Ints, device: str, *, seed: int, holds: bool
    ) -> None:
        self._network, self._pictures, self._places = network, pictures, places
        self._device, self._seed = device, seed
        self._holds = holds and network.is_split
        self._held: dict[int, Tensor] = {}

    def batch(self, epoch: int, chosen: Ints) -> Tensor:
        """The views of an epoch, of the pictures at some of the N places."""
        view = epoch % VIEWS if self._network.is_split else epoch
        if view in self._held:
            return self._held[view][torch.from_numpy(chosen)].float()
        return self._made(view, chosen)

    def prepare(self, epoch: int, on_progress: Progress) -> None:
        """Make the views of an epoch that are to be kept."""
        view = epoch % VIEWS
        if not self._holds or view in self._held:
            return
        pieces = []
        for start in range(0, len(self._places), _AT_ONCE):
            chosen = np.arange(start, min(start + _AT_ONCE, len(self._places)))
            pieces.append(self._made(view, chosen).to(torch.bfloat16))
            on_progress(len(chosen))
        self._held[view] = torch.cat(pieces)

    def _made(self, view: int, chosen: Ints) -> Tensor:
        places = self._places[chosen]
        pixels = torch.from_numpy(self._pictures.pixels(places)).to(self._device)
        with torch.no_grad():
            return self._network.prepare(augmented(pixels, draws(self._seed, view, places)))


def features_of(
    network: Network, pictures: Pictures, places: Ints, device: str, kept: list[Tensor] | None = None
) -> NDArray[np.float32]:
    """The features float32 (N, D) of pictures as they are; `kept` keeps what was prepared for next time."""
    found, is_empty = [], not kept
    with torch.no_grad(), autocast(device):
        for number, start in enumerate(range(0, len(places), _AT_ONCE)):
            if kept is None or is_empty:
                pixels = torch.from_numpy(pictures.pixels(places[start : start + _AT_ONCE])).to(device)
                prepared = network.prepare(pixels.permute(0, 3, 1, 2).float())
                if kept is not None:
                    kept.append(prepared.to(torch.bfloat16) if network.is_split else prepared)
            else:
                prepared = kept[number].float()
            found.append(network.body(prepared).float().cpu().numpy())
    return np.concatenate(found)


def autocast(device: str) -> torch.autocast:
    """bfloat16 where it is faster: on a GPU."""
    kind = device.partition(":")[0]
    return torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda")
