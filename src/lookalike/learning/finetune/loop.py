"""The training loop: steps, the epoch that held-out pictures choose, and where a killed run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lookalike.errors import ModelError
from lookalike.learning.finetune.checkpoint import Checkpoint
from lookalike.learning.finetune.lessons import Lesson
from lookalike.learning.finetune.network import Network
from lookalike.learning.finetune.schedule import one_cycle
from lookalike.learning.finetune.views import Views, autocast

Ints = NDArray[np.int64]
Progress = Callable[[int], None]

_DECAY = 0.02  # of the weights, in AdamW
_LOSS_RATE = 5  # times the network's: what a loss learns starts at random
_MOST_GRADIENT = 5.0
_WRITE_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train; it ends early after `patience` epochs that were no better."""

    epochs: int
    batch_size: int
    rate: float
    seed: int
    patience: int = 5


@dataclass
class Progressed:
    """Where training stands: `scores` has that of held-out pictures before it and after each epoch."""

    step: int = 0
    scores: list[float] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    @property
    def best_epoch(self) -> int:
        """The last epoch with the best score; 0 is the network before."""
        return len(self.scores) - 1 - int(np.argmax(self.scores[::-1]))


class Training:
    """Trains the body of a network on views of the pictures of a lesson, one epoch after another.

    `judge` gives the score of held-out pictures, which is to rise, as the network is now.
    """

    def __init__(
        self,
        network: Network,
        loss: nn.Module,
        views: Views,
        lesson: Lesson,
        plan: Plan,
        *,
        judge: Callable[[], float],
        device: str,
        checkpoint: Checkpoint,
    ) -> None:
        self._network, self._loss, self._views = network, loss.to(device), views
        self._lesson = lesson
        self._plan, self._judge, self._device, self._checkpoint = plan, judge, device, checkpoint
        self._per_epoch = lesson.per_epoch
        groups = [
            {"params": list(network.body.parameters()), "peak": plan.rate},
            {"params": list(loss.parameters()), "peak": plan.rate * _LOSS_RATE},
        ]
        self._optimiser = torch.optim.AdamW([one for one in groups if one["params"]], weight_decay=_DECAY)
        self.at = Progressed()

    @property
    def steps(self) -> int:
        """The number of steps if no epoch is left out."""
        return self._plan.epochs * self._per_epoch

    def run(self, on_view: Progress, on_step: Progress, on_skip: Progress) -> Progressed:
        """Train to the end, from the checkpoint if there is one, and leave the best network in place.

        `on_skip` is told the pictures of the steps before the checkpoint.
        """
        self._restore()
        on_skip(self.at.step * self._lesson.size)
        if not self.at.scores:
            self._score()
        while self.at.step < self.steps and not self._is_over:
            self._epoch(self.at.step // self._per_epoch, on_view, on_step)
            self._score()
            self._write()
        self._network.body.load_state_dict(self.at.best)
        return self.at

    @property
    def _is_over(self) -> bool:
        return len(self.at.scores) - 1 - self.at.best_epoch >= self._plan.patience

    def _epoch(self, epoch: int, on_view: Progress, on_step: Progress) -> None:
        self._views.prepare(epoch, on_view)
        written_s = time.monotonic()
        for number, chosen in enumerate(self._lesson.batches(epoch)):
            if number < self.at.step % self._per_epoch:
                continue
            self._step(epoch, chosen)
            on_step(len(chosen))
            is_last = number == self._per_epoch - 1
            if not is_last and time.monotonic() - written_s > _WRITE_EVERY_S:
                self._write()
                written_s = time.monotonic()
            if is_last:
                break  # before the modulus above starts over

    def _step(self, epoch: int, chosen: Ints) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * one_cycle(self.at.step, self.steps)
        given = self._views.batch(epoch, chosen)
        with autocast(self._device):
            features = self._network.body(given).float()
        loss = self._loss(features, torch.from_numpy(self._lesson.classes[chosen]).to(self._device))
        if not torch.isfinite(loss):
            raise ModelError(
                f"training diverged in step {self.at.step}: the loss is {loss.item()}",
                "give a lower `learning_rate`",
            )
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.body.parameters(), _MOST_GRADIENT)
        self._optimiser.step()
        self.at.step += 1

    def _score(self) -> None:
        self.at.scores.append(self._judge())
        if self.at.best_epoch == len(self.at.scores) - 1:
            self.at.best = deepcopy(self._network.body.state_dict())

    def _write(self) -> None:
        self._checkpoint.write(
            {
                "step": self.at.step,
                "scores": self.at.scores,
                "best": self.at.best,
                "body": self._network.body.state_dict(),
                "loss": self._loss.state_dict(),
                "optimiser": self._optimiser.state_dict(),
            }
        )

    def _restore(self) -> None:
        found = self._checkpoint.read(self._device)
        if found is None:
            return
        self._network.body.load_state_dict(found["body"])
        self._loss.load_state_dict(found["loss"])
        self._optimiser.load_state_dict(found["optimiser"])
        self.at = Progressed(found["step"], found["scores"], found["best"])
