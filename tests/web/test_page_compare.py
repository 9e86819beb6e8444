"""Two models side by side on the page: a head on stored vectors, and a model folder, beside their base."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from conftest import build, write_pictures
from networks import MEAN, STD, write_network
from pages import PHOTO, expect, see
from serving import running
from site_browser import tab

import lookalike
from lookalike import add_model, load_model
from lookalike.learning.saving import save_head
from lookalike.models.head_model import Layer


def test_a_head_and_a_model_folder_are_compared_with_their_names(window: Any, tmp_path: Path) -> None:
    pixels = load_model("pixels")
    layer = Layer(np.eye(pixels.dim, 12, dtype=np.float32), np.zeros(12, np.float32))
    save_head(tmp_path / "head", "my-head", pixels.spec, [layer], report={})
    add_model(write_network(tmp_path / "n.onnx"), name="my-net", mean=MEAN, std=STD, out=tmp_path / "net")
    source = write_pictures(tmp_path / "photos", 12)
    base, _ = build(source, tmp_path / "base.lookalike", label="folder", model="pixels")
    head = lookalike.build(base.path, tmp_path / "head.lookalike", model=str(tmp_path / "head"))
    net, _ = build(source, tmp_path / "net.lookalike", label="folder", model=str(tmp_path / "net"))

    with running(base, head, net) as url, tab(window, url) as page:
        page.goto(f"{url}#c=base&view=compare")
        choice = page.get_by_role("combobox", name="Compare with")
        expect(choice.locator("option")).to_have_text(["head · my-head", "net · my-net"])
        page.locator("#file").set_input_files(PHOTO)
        see(page, re.compile("found in both"))
        for name, model in (("head", "my-head"), ("net", "my-net")):
            choice.select_option(name)
            column = page.get_by_role("region", name=name, exact=True)
            expect(column.locator(".quiet")).to_contain_text(f"{model} · of 12 pictures")
            expect(column.locator(".hits li")).to_have_count(12)
            see(page, re.compile("^12 of 12 were found in both"))
        column.get_by_role("link").nth(2).click()
        expect(page.locator(".chip-name")).to_have_text(re.compile("brick|meadow|sea"))
        see(page, re.compile("^11 of 11 were found in both"))
