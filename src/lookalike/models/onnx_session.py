"""How onnxruntime is started: on a device, with one thread for each call."""

from __future__ import annotations

import onnxruntime

from lookalike.errors import ModelError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def start(network: bytes | str, device: str) -> onnxruntime.InferenceSession:
    """Start a network, given as bytes or by its path, on `cpu`, `cuda` or `cuda:1`.

    Raises `ModelError` if onnxruntime has no such device.
    One thread for each call: the build runs one call on every core, which is faster.
    """
    kind, _, number = device.partition(":")
    provider = _PROVIDERS.get(kind, "provider for it")
    if provider not in onnxruntime.get_available_providers():
        raise ModelError(
            f"this onnxruntime has no {provider}, so the device {device} cannot be used",
            "for a GPU of NVIDIA: pip uninstall onnxruntime; pip install onnxruntime-gpu",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    where = {"device_id": number} if number else {}
    session = onnxruntime.InferenceSession(network, options, providers=[(provider, where)])
    if provider not in session.get_providers():
        raise ModelError(f"the device {device} did not start", "check its driver and libraries")
    return session
