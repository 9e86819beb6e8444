"""Names that are nearly right are found by their letters."""

from __future__ import annotations

import pytest

from lookalike.models.spelling import close_names

MODELS = [
    "ViT-B-32/openai",
    "ViT-B-16/openai",
    "MobileCLIP-S1/datacompdr",
    "resnet50.a1_in1k",
    "resnet50d.ra2_in1k",
]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("vitb32/OpenAI", ["ViT-B-32/openai", "ViT-B-16/openai"]),
        ("resnet50.a1", ["resnet50.a1_in1k", "resnet50d.ra2_in1k"]),
        ("resnt50.a1_in1k", ["resnet50.a1_in1k", "resnet50d.ra2_in1k"]),
        ("MobileCLIP", ["MobileCLIP-S1/datacompdr"]),
        ("zzz", []),
        ("", []),
        ("/.", []),
    ],
)
def test_a_misspelled_name_is_found_in_any_case_with_any_separators(name, near):
    assert close_names(name, MODELS) == near
