"""How onnxruntime is started: on a device, with one thread for each call."""

from __future__ import annotations

import onnxruntime

from lookalike.errors import ModelError

# The devices of onnxruntime: its provider for each, and the package that has it.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),  # on Apple's machines
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),  # on Windows
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),  # on Intel's
}


def start(network: bytes | str, device: str) -> onnxruntime.InferenceSession:
    """Start a network, given as bytes or by its path, on a device: `cpu`, `cuda`, `cuda:1`, `openvino`.

    Raises `ModelError` if onnxruntime has no such device, and what onnxruntime raises if that does not start.
    One thread for each call: the build runs one call on every core, which is faster.
    """
    kind, _, number = device.partition(":")
    provider, package = _PROVIDERS.get(kind, ("", ""))
    if provider not in onnxruntime.get_available_providers():
        raise ModelError(
            f"this onnxruntime has no {provider or 'provider for it'}, so the device {device} cannot be used",
            f"in place of onnxruntime, install {package}" if package else "",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_mem_pattern = kind != "directml"  # which has none
    where = {"device_id": number} if number else {}
    # Else a device that fails, now or later, is written to stdout and the CPU takes its place.
    session = onnxruntime.InferenceSession(
        network, options, providers=[(provider, where)], enable_fallback=False
    )
    if provider not in session.get_providers():
        raise ModelError(f"the device {device} did not start", "check its driver and libraries")
    return session
