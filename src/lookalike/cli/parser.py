"""Every command, its arguments and an example; imports nothing heavy, so that help is instant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from lookalike import __version__

_INTRODUCTION = """Turn any pile of images into a visual search engine.

  lookalike photos/                     build what is new, then open the page
  lookalike demo                        the same with drawn flowers, to see what it does
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line; `options.command` names a function of `commands`."""
    parser = argparse.ArgumentParser(
        prog="lookalike", description=_INTRODUCTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"lookalike {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (summary, example, add_arguments) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_arguments(command)
        command.set_defaults(command=name)
    return parser


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FOLDER", help="a folder of images")
    parser.add_argument(
        "-c", "--collection", metavar="C", help="where the collection is kept (default: FOLDER.lookalike)"
    )
    parser.add_argument(
        "--label",
        metavar="RULE",
        help="'folder' (the parent folder's name), 'regex:PATTERN' (its first group, on the file name) "
        "or 'none'",
    )
    parser.add_argument(
        "--metadata", metavar="FILE", help="a CSV or Parquet file whose columns are joined by relative path"
    )
    parser.add_argument("--model", help="efficientnet-lite0 (default), pixels or colors")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where the model runs")
    parser.add_argument("--dtype", choices=["float32", "float16"], help="how vectors are stored")
    parser.add_argument("--threads", type=_positive, metavar="N", help="(default: one a core)")
    parser.add_argument(
        "--max-megapixels", type=float, default=200.0, metavar="MP", help="skip larger images (default: 200)"
    )
    parser.add_argument("--rebuild", action="store_true", help="forget what is there and start from nothing")


def _build(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    parser.add_argument(
        "--part-size", type=_positive, default=1024, metavar="N", help="images a part (default: 1024)"
    )
    _json(parser)


def _open(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    _page(parser)


def _search(parser: argparse.ArgumentParser) -> None:
    _collection(parser)
    parser.add_argument(
        "query",
        metavar="QUERY",
        nargs="+",
        help="an image file, id:… for an item of the collection, or text:… for words; several are added up, "
        "and ^2 at the end is a weight",
    )
    parser.add_argument(
        "--not", dest="unlike", metavar="QUERY", action="append", default=[], help="subtract this one"
    )
    _where(parser)
    parser.add_argument("--include-query", action="store_true", help="show items of the query too")
    parser.add_argument("-k", type=int, default=10, metavar="K", help="how many results (default: 10)")
    _json(parser)


def _recommend(parser: argparse.ArgumentParser) -> None:
    _collection(parser)
    for name, what in (("liked", "like"), ("disliked", "unlike")):
        parser.add_argument(
            f"--{name}",
            metavar="QUERY",
            action="append",
            default=[],
            help=f"an item (id:…), image file or text:… that results should be {what}; can be given again",
        )
    parser.add_argument("-k", type=int, default=10, metavar="K", help="how many results (default: 10)")
    _where(parser)
    parser.add_argument(
        "--diverse",
        type=float,
        nargs="?",
        const=0.3,
        default=0.0,
        metavar="D",
        help="0 to 1: avoid results that are like each other (0.3 where no number is given)",
    )
    _json(parser)


def _serve(parser: argparse.ArgumentParser) -> None:
    _collection(parser)
    _page(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        choices=["flowers", "digits"],
        default="flowers",
        help="drawn flowers, or scikit-learn's digits",
    )
    parser.add_argument(
        "--count", type=_positive, default=300, metavar="N", help="images to make (default: 300)"
    )
    parser.add_argument("--out", metavar="DIR", help="keep the images and the collection here")
    parser.add_argument("--no-serve", action="store_true", help="print one search and exit")
    _page(parser)


def _read(parser: argparse.ArgumentParser) -> None:
    _collection(parser)
    _json(parser)


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a .npy file, Parquet with a column `embedding`, or a folder as clip-retrieval writes it",
    )
    parser.add_argument("-c", "--collection", metavar="C", required=True, help="the collection to make")
    parser.add_argument("--metadata", metavar="FILE", help="Parquet or CSV, a row for each vector of a .npy")
    parser.add_argument("--model", default="imported", help="the name of what made the vectors")
    _json(parser)


def _index(parser: argparse.ArgumentParser) -> None:
    _collection(parser)
    parser.add_argument(
        "--type",
        default="auto",
        metavar="TYPE",
        help="auto (default: by count, dimension and memory), flat, hnsw, ivf, ivf-pq, rabitq or ivf-rabitq",
    )
    parser.add_argument(
        "--max-memory", type=_bytes, metavar="SIZE", help="the most that the index may take, such as 1GB"
    )
    parser.add_argument(
        "--min-recall",
        type=float,
        default=0.95,
        metavar="R",
        help="the share of the 10 nearest that has to be found (default: 0.95)",
    )
    _json(parser)


def _where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="a condition over the columns, such as: label = 'roses' AND width > 300",
    )


def _collection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", metavar="C", help="the folder of a collection")


def _page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="N", help="(default: 7171, or the next that is free)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _bytes(text: str) -> int:
    """A size such as 512MB, 1.5GB or 300000, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 512MB or 1.5GB")
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


COMMANDS: dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "build": (
        "embed what is new in a folder and drop what is gone",
        "lookalike build photos/ -c photos.lookalike --label folder",
        _build,
    ),
    "search": (
        "find the images most like a picture",
        "lookalike search photos.lookalike rose.jpg^2 id:img_7.jpg --not thorn.jpg -k 10",
        _search,
    ),
    "recommend": (
        "find images like those you like",
        "lookalike recommend photos.lookalike --liked id:a.jpg --liked id:b.jpg --disliked id:c.jpg",
        _recommend,
    ),
    "serve": ("open the page of a collection", "lookalike serve photos.lookalike", _serve),
    "open": ("build what is new, then serve; the same as: lookalike FOLDER", "lookalike open photos/", _open),
    "demo": ("see what it does on images it draws itself", "lookalike demo", _demo),
    "index": (
        "make search fast: pick, build and measure an index",
        "lookalike index photos.lookalike --max-memory 1GB --min-recall 0.95",
        _index,
    ),
    "import": (
        "make a collection of vectors that were made elsewhere",
        "lookalike import vectors.npy -c mine.lookalike --metadata rows.parquet",
        _import,
    ),
    "info": ("what a collection holds", "lookalike info photos.lookalike", _read),
    "failures": ("the images that could not be read, and why", "lookalike failures photos.lookalike", _read),
    "verify": ("read every byte of a collection and find damage", "lookalike verify photos.lookalike", _read),
}
