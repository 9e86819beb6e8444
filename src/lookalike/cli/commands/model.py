"""lookalike model: makes the folder of a model, from an ONNX file or from a published model."""

from __future__ import annotations

import argparse
import shlex

from lookalike.cli.arguments import add_json, positive
from lookalike.errors import LookalikeError

SUMMARY = "make the folder of a model: of a network in an ONNX file (add), or of a published model (export)"
EXAMPLE = (
    "lookalike model add net.onnx --name my-net --size 224 --mean 0.485,0.456,0.406 "
    "--std 0.229,0.224,0.225 -o my-model/\n"
    "  lookalike model export dinov2-small dinov2/ --int8"
)

# The options that only `add` has, with their defaults.
_OF_ADD = {
    "name": None,
    "size_px": None,
    "mean": None,
    "std": None,
    "crop": 1.0,
    "resize": "crop",
    "interpolation": "bicubic",
    "channels": "RGB",
    "output": "",
    "pooling": "",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["add", "export"], help="what to do")
    parser.add_argument(
        "network",
        metavar="FILE|NAME",
        help="add: the ONNX file; weights in files beside it come along. export: the name of the model",
    )
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="where to keep the model")
    parser.add_argument("-o", "--out", metavar="FOLDER", help="the same as FOLDER")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="export: weights of 8 bits, a quarter of the size",
    )
    parser.add_argument("--precision", help=argparse.SUPPRESS)  # for an error that says where it belongs
    _add_preprocessing(parser.add_argument_group("what add has to know of the network"))
    add_json(parser)


def _add_preprocessing(parser: argparse._ActionsContainer) -> None:
    """What `add` is told of a network, with the defaults in `_OF_ADD`."""
    parser.add_argument("--name", help="what to call it (default: the name of the file)")
    parser.add_argument(
        "--size",
        dest="size_px",
        type=positive,
        metavar="PX",
        help="the side of its input (default: the file's)",
    )
    parser.add_argument(
        "--mean",
        type=_three,
        metavar="R,G,B",
        help="what is subtracted from the values of pixels, of 0 to 1, in the network's order of channels "
        "(default: 0)",
    )
    parser.add_argument(
        "--std", type=_three, metavar="R,G,B", help="what they are divided by then (default: 1)"
    )
    parser.add_argument(
        "--crop",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="the square that it sees, as a share of the shorter side (default: 1)",
    )
    parser.add_argument(
        "--resize",
        choices=["crop", "squash", "square"],
        default="crop",
        help="crop (default): resize, then cut the centre, as torchvision does; squash: ignore proportions; "
        "square: cut, then resize",
    )
    parser.add_argument(
        "--interpolation",
        choices=["bicubic", "bilinear", "lanczos", "nearest"],
        default="bicubic",
        help="how pictures are resized (default: bicubic)",
    )
    parser.add_argument(
        "--channels", choices=["RGB", "BGR"], default="RGB", help="their order (default: RGB)"
    )
    parser.add_argument("--output", default="", metavar="NAME", help="which output to use, if it has several")
    parser.add_argument(
        "--pooling", choices=["mean"], default="", help="mean: average the features of all places"
    )


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import say

    out = options.out or options.folder
    if not out or (options.out and options.folder):
        raise LookalikeError("say once where to keep the model", "give a folder as `out`")
    if options.precision is not None:
        raise LookalikeError(
            "the folder of a model computes as its files say: export writes float32, --int8 integers",
            "leave --precision out; it is for lookalike build --model NAME",
        )
    options.out = out
    if options.action == "export":
        _export(options)
    else:
        _add(options)
    say(f"use it: lookalike build photos/ --model {shlex.quote(options.out)}")
    return 0


def _add(options: argparse.Namespace) -> None:
    from lookalike.cli.output import print_json, show
    from lookalike.models.adding import add_model

    if options.int8:
        raise LookalikeError("--int8 is for lookalike model export", "leave it out")
    model = add_model(
        options.network,
        out=options.out,
        name=options.name,
        size_px=options.size_px,
        mean=options.mean,
        std=options.std,
        crop=options.crop,
        resize=options.resize,
        interpolation=options.interpolation,
        channels=options.channels,
        output=options.output,
        pooling=options.pooling,
    )
    if options.json:
        print_json({"path": model.path, **model.spec.to_fields()})
    else:
        show(f"{model.name}: {model.dim:,} dimensions of pictures of {model.size_px} px, in {model.path}")


def _export(options: argparse.Namespace) -> None:
    from lookalike.cli.output import print_json, show
    from lookalike.models.exporting import export_model

    for name, default in _OF_ADD.items():
        if getattr(options, name) != default:
            raise LookalikeError(f"--{name.removesuffix('_px')} is for lookalike model add", "leave it out")
    made = export_model(options.network, options.out, int8=options.int8)
    if options.json:
        cosines = {"cosine": made.cosine, "text_cosine": made.text_cosine, "bytes": made.bytes}
        print_json({"path": made.model.path, **made.model.spec.to_fields(), **cosines})
    else:
        words = "" if made.text_cosine is None else f", of words {made.text_cosine:.6f}"
        show(
            f"{made.model.name}: {made.model.dim:,} dimensions of pictures of {made.model.size_px} px, "
            f"{made.bytes / 1e6:,.1f} MB, in {made.model.path}"
        )
        show(f"least cosine to PyTorch: of pictures {made.cosine:.6f}{words}")


def _three(text: str) -> list[float]:
    """Three numbers with commas between them."""
    try:
        red, green, blue = map(float, text.split(","))
    except ValueError:  # other than three, or other than numbers
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers with commas between them") from None
    return [red, green, blue]
