"""Starts fine-tuning, or says what to install for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lookalike.errors import ExtraError
from lookalike.storage.snapshot import Snapshot

if TYPE_CHECKING:
    from lookalike.learning.finetune.result import FineTuned


def train_network(snapshot: Snapshot, label: str | None, **options: Any) -> FineTuned:
    """The same as `finetuning.finetune`, which has the options; raises `ExtraError` without its packages."""
    # Threads that wait for each other would spin, and so take three times as long on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when PyTorch is first imported
    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ExtraError(f"fine-tuning needs {error.name}", "train") from None
    from lookalike.learning.finetune.finetuning import finetune

    return finetune(snapshot, label, **options)
