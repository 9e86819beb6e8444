"""Arguments that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import re

from lookalike.images.limit import MAX_MEGAPIXELS

DEVICES = ["auto", "cpu", "cuda", *(f"cuda:{number}" for number in range(8)), "mps"]
DEVICES += ["coreml", "directml", "openvino"]


def add_source(parser: argparse.ArgumentParser) -> None:
    """The source to build, where to keep the collection, and how to build it."""
    add_images(parser)
    parser.add_argument(
        "-c", "--collection", metavar="C", help="where to keep the collection (default: SOURCE.lookalike)"
    )
    parser.add_argument(
        "--model",
        help="the model: a name that `lookalike models` lists (default: efficientnet-lite0), a published one "
        "(timm:NAME, hf:ORG/NAME, open_clip:NAME/TAG), an ONNX file, or a folder that `lookalike model` made",
    )
    parser.add_argument(
        "--tags",
        metavar="FILE",
        help="tag by your own list, one tag on each line, with a model that knows words; or 'none'",
    )
    parser.add_argument(
        "--device",
        choices=DEVICES,
        metavar="DEVICE",
        default="auto",
        help="where the model runs: cpu, cuda, cuda:1, mps or auto, the fastest that works (default: auto); "
        "models in ONNX files also on coreml, directml and openvino",
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "float16", "bfloat16"],
        help="how a published model (timm:, hf:, open_clip:) multiplies, here and wherever the collection is "
        "searched; two bytes are fast on GPUs (default: float32)",
    )
    parser.add_argument("--dtype", choices=["float32", "float16"], help="how vectors are stored")
    add_threads(parser)
    add_max_megapixels(parser)
    add_decoding_memory(parser)
    parser.add_argument(
        "--no-thumbnails", dest="thumbnails", action="store_false", help="keep no small pictures: faster"
    )
    parser.add_argument(
        "--rebuild", action="store_true", help="discard the collection and start from nothing"
    )


def add_images(parser: argparse.ArgumentParser) -> None:
    """Where images come from, and their labels and columns."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder of images; shards (.tar, .tfrecord, .parquet, .arrow) in a folder or by a name such "
        "as 's/{000..099}.tar'; a list of URLs (.txt, .csv, .jsonl); each also in a store (s3://...); - for "
        "paths on the standard input; hf:OWNER/NAME or tfds:NAME",
    )
    parser.add_argument(
        "--label",
        metavar="RULE",
        help="'folder' (the parent folder's name), 'regex:PATTERN' (its first group, on the file name) "
        "or 'none'",
    )
    parser.add_argument(
        "--metadata", metavar="FILE", help="a CSV or Parquet file whose columns are joined by id"
    )
    parser.add_argument(
        "--image-column", metavar="COLUMN", help="the column of images, in TFRecord or Parquet, or of URLs"
    )
    parser.add_argument("--name-column", metavar="COLUMN", help="the column of their names")


def add_collection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", metavar="C", help="the folder of a collection")


def add_label(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--label", default="label", metavar="COLUMN", help="the column of labels, or folder (default: label)"
    )


def add_page(parser: argparse.ArgumentParser) -> None:
    """Where the server listens, and whom it answers."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, metavar="N", help="the port to listen on (default: 7171, or the next free one)"
    )
    parser.add_argument(
        "--token",
        metavar="SECRET",
        help="the secret that lets other machines in (or set LOOKALIKE_TOKEN)",
    )
    parser.add_argument("--no-auth", action="store_true", help="let everyone in who reaches the address")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name under which the server can be reached",
    )
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="URL", help="a web site that may use the API"
    )
    parser.add_argument(
        "--read-only",
        action=argparse.BooleanOptionalAction,
        help="let nobody give labels, teach words or mark duplicates (the default with --no-auth where other "
        "machines can reach it)",
    )
    parser.add_argument("--allow-url-queries", action="store_true", help="fetch query pictures given as URLs")
    parser.add_argument(
        "--max-upload-megapixels",
        type=float,
        default=50.0,
        metavar="MP",
        help="refuse larger query pictures (default: 50)",
    )
    parser.add_argument(
        "--max-condition-seconds",
        type=float,
        default=5.0,
        metavar="S",
        help="how long a condition may take (default: 5)",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")


def add_results(parser: argparse.ArgumentParser) -> None:
    """How many results, and which."""
    parser.add_argument("-k", type=int, default=10, metavar="K", help="how many results (default: 10)")
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="a condition over the columns, such as: label = 'roses' AND width > 300",
    )


def add_max_memory(
    parser: argparse._ActionsContainer,
    what: str = "use at most this much memory, such as 1GB (default: no limit)",
) -> None:
    """The memory that the work may use."""
    parser.add_argument("--max-memory", dest="max_memory_bytes", type=size, metavar="SIZE", help=what)


def add_decoding_memory(parser: argparse._ActionsContainer) -> None:
    """The memory that decoding may use."""
    add_max_memory(parser, "memory for decoding pictures, all threads together (default: 1GB)")


def add_threads(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="decode in N threads (default: one a core)"
    )


def add_max_megapixels(parser: argparse._ActionsContainer) -> None:
    """The size above which a picture becomes a failure."""
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=MAX_MEGAPIXELS,
        metavar="MP",
        help=f"skip images of more megapixels (default: {MAX_MEGAPIXELS:g})",
    )


def add_shards(parser: argparse.ArgumentParser, size: int, unit: str) -> None:
    """What is written and where, with `size` of a unit in each shard by default."""
    parser.add_argument("out", metavar="FOLDER", help="a new folder, or one where an earlier run stopped")
    parser.add_argument(
        "--format",
        choices=["tar", "parquet", "tfrecord", "folder"],
        default="tar",
        help="what to write (default: tar)",
    )
    parser.add_argument(
        "--shard-size",
        type=positive,
        default=size,
        metavar="N",
        help=f"{unit} in each shard (default: {size})",
    )
    parser.add_argument("--count", type=positive, metavar="N", help=f"take only the first N {unit}")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def size(text: str) -> int:
    """A size such as 512MB, 1.5GB or 300000, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 512MB or 1.5GB")
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))


def names(text: str) -> list[str]:
    """Names such as `caption, license`, with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number
