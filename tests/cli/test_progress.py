"""The lines that tell how far a command is."""

import re
import time

from lookalike.cli.progress import Progress, duration


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


def test_the_pace_of_one_batch_is_that_since_the_start(capsys):
    with Progress("embedding") as progress:
        time.sleep(0.05)
        for done in range(1, 6):
            progress(done, 5)

    said = re.fullmatch(r"embedding: 5 of 5, ([\d.,]+) images/s\n", capsys.readouterr().err)
    assert 0 < float(said[1]) <= 100


def test_long_times_are_told_in_minutes_and_hours():
    assert [duration(seconds) for seconds in (0.4, 119, 120, 7199, 7200, 111_553)] == [
        "0 s", "119 s", "2 min", "120 min", "2 h", "31 h",
    ]  # fmt: skip
