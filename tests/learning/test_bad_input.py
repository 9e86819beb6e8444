"""Labels and events that teach nothing: a clear answer, and nothing is written."""

from __future__ import annotations

import numpy as np
import pytest

import lookalike
from lookalike.errors import LookalikeError, ModelError


def three(folder, **columns):
    return lookalike.from_vectors(folder / "c", np.eye(3), ["a", "b", "c"], columns=columns)


def test_nan_is_no_label(tmp_path):
    made = three(tmp_path, label=[1.0, float("nan"), 2.5])

    assert [item.label for item in made] == ["1", None, "2.5"]


def test_nan_in_another_column_is_no_label_either(tmp_path):
    made = three(tmp_path, kind=[1.0, float("nan"), 1.0])

    with pytest.raises(LookalikeError, match=r"all 2 items have the label '1.0'"):
        made.evaluate("kind")


def test_events_that_are_all_in_the_future_are_said_to_be(tmp_path):
    made = three(tmp_path)
    (tmp_path / "e.csv").write_text("user,item,time\nanna,a,2999-01-01\nbert,b,2999-01-01\n")

    with pytest.raises(
        LookalikeError, match=r"all 2 events in .* of items of c are in the future; the column time"
    ):
        lookalike.train(made, events=tmp_path / "e.csv")


@pytest.mark.parametrize("weights", [("nan", "nan"), ("-1", "0")])
def test_events_without_a_usable_weight_are_not_said_to_be_of_unknown_items(tmp_path, weights):
    made = three(tmp_path)
    (tmp_path / "e.csv").write_text(
        "user,item,weight\n" + "".join(f"anna,{id_},{w}\n" for id_, w in zip("ab", weights, strict=True))
    )

    with pytest.raises(LookalikeError, match=r"none of the 2 events in .* is complete; each needs a user"):
        lookalike.train(made, events=tmp_path / "e.csv")


def test_vectors_made_elsewhere_know_no_users(tmp_path):
    with pytest.raises(ModelError, match="the model of this collection knows no users; train one"):
        three(tmp_path).recommend(user="anna")
