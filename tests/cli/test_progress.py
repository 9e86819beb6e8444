"""The lines that tell how far a command is."""

import re
import time

from lookalike.cli.progress import Progress


def test_the_pace_is_that_since_the_first_report(capsys):
    with Progress("learning", "pictures") as progress:
        progress(50_000, 100_000)
        time.sleep(0.05)
        progress(100_000, 100_000)

    said = re.fullmatch(r"learning: 100,000 of 100,000, ([\d,]+) pictures/s\n", capsys.readouterr().err)
    assert int(said[1].replace(",", "")) <= 1_000_000


def test_the_pace_of_a_single_report_is_that_since_the_start(capsys):
    with Progress("embedding") as progress:
        time.sleep(0.05)
        progress(12, 12)

    said = re.fullmatch(r"embedding: 12 of 12, ([\d.]+) images/s\n", capsys.readouterr().err)
    assert 0 < float(said[1]) <= 240
