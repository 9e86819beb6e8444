"""What every way to `lookalike train` ends with: learn, save the model, print what it is worth."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def learn_and_save(
    options: argparse.Namespace, show_report: Callable[[Any], None], *, unit: str = "images", **given: Any
) -> None:
    """Train with the arguments `given`, save the model and show its report.

    Raises `NoGainError` if nothing is better: then only JSON has the report.
    """
    from dataclasses import asdict

    from lookalike.cli.output import print_json
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection, train
    from lookalike.errors import NoGainError
    from lookalike.learning.saving import check_out

    check_out(options.out)
    collection = open_collection(options.collection)
    try:
        with Progress("learning", unit) as progress:
            learned = train(
                collection,
                method=options.method,
                seed=options.seed,
                max_memory_bytes=options.max_memory_bytes,
                on_progress=progress,
                **given,
            )
    except NoGainError as error:
        if options.json:
            print_json({"path": None, "report": asdict(error.report)})
        raise
    model = learned.save(options.out, options.name)
    if options.json:
        print_json({"path": model.path, **model.spec.to_fields(), "report": asdict(learned.report)})
    else:
        show_report(learned.report)
