"""Install each extra alone into a fresh environment and use it: python tools/try_extras.py FOLDER [EXTRA ...]

Environments are copies, by links, of one with nothing but Lookalike; each stays as FOLDER/EXTRA.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]

# For tests and work on Lookalike itself; the steps of .ci/run use them.
OURS = ("test", "dev")
# Of gigabytes each; `pytest -m reference` uses what they bring, in one environment. Ask for them by name.
LARGE = ("torch", "timm", "transformers", "open-clip", "train")

PICTURES = """
from pathlib import Path
from lookalike.demo.flowers import write_flowers
write_flowers(Path("flowers"), count=24)
"""
BUILT = f"""{PICTURES}
import lookalike
built = lookalike.build("flowers", "flowers.lookalike", label="folder", model="colors")
"""
LOCAL_SITE = """
import functools, http.server, threading
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="flowers")
site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
threading.Thread(target=site.serve_forever, daemon=True).start()
"""
USES = {
    "plain": f"""{BUILT}
from lookalike.cli import main
built.index()
assert len(built.search(lookalike.Id(built[0].id), k=3, where="width > 10")) == 3
for command in ("cluster", "outliers", "map", "duplicates"):
    assert main([command, "flowers.lookalike"]) == 0
""",
    "heic": """
import io
import pillow_heif
from PIL import Image
from lookalike.images.decoding import decode
pillow_heif.register_heif_opener()
file = io.BytesIO()
Image.new("RGB", (64, 48)).save(file, "HEIF")
picture = decode(file.getvalue(), 32)
assert (picture.width, picture.height) == (64, 48)
""",
    "download": f"""{PICTURES}{LOCAL_SITE}
from lookalike.acquire.download import download
from lookalike.acquire.resize import Resize
from lookalike.sources.fetch import FetchOptions
names = [path.relative_to("flowers").as_posix() for path in Path("flowers").rglob("*.jpg")]
Path("urls.txt").write_text("".join(f"http://127.0.0.1:{{site.server_port}}/{{name}}\\n" for name in names))
report = download("urls.txt", "shards", resize=Resize(64), fetch=FetchOptions(allow_private=True, rate=999))
assert report.succeeded == len(names) == 24, report
""",
    "analysis": f"""{BUILT}
from lookalike.cli import main
assert main(["cluster", "flowers.lookalike"]) == main(["outliers", "flowers.lookalike"]) == 0
""",
    "sift": f"""{PICTURES}
import lookalike
assert len(lookalike.build("flowers", "flowers.lookalike", model="sift")) == 24
""",
    "umap": f"""{BUILT}
from lookalike.cli import main
assert main(["map", "flowers.lookalike", "--method", "umap"]) == 0
""",
    "hf": f"""{PICTURES}
from lookalike.cli import main
words = ["--format", "folder", "--by-label", "--size", "64", "--count", "5"]
assert main(["download", "hf:./flowers", "out", *words]) == 0
assert len(list(Path("out").rglob("*.jpg"))) == 5
""",
    # One of its own data sets: only these are looked up in the package itself. Its archive is made here.
    "tfds": f"""{PICTURES}
import tarfile
with tarfile.open("flower_photos.tgz", "w:gz") as tar:
    for kind in ("daisy", "dandelion", "roses", "sunflowers", "tulips"):
        tar.add(next(Path("flowers").rglob("*.jpg")), f"flower_photos/{{kind}}/1.jpg")
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import DownloadManager
DownloadManager.download = lambda manager, url: str(Path("flower_photos.tgz").resolve())
from lookalike.cli import main
words = ["--format", "folder", "--by-label", "--size", "64", "--count", "4"]
assert main(["download", "tfds:tf_flowers", "out", *words]) == 0
assert len(list(Path("out").rglob("*.jpg"))) == 4
""",
    "remote": f"""{BUILT}
import lookalike
made = lookalike.build("flowers", "memory://bucket/flowers.lookalike", model="colors")
assert len(made) == 24
""",
    "s3": """
from lookalike.storage.stores import is_remote, place
assert is_remote(place("s3://bucket/flowers.lookalike"))
import s3fs
""",
    "pandas": f"""{BUILT}
assert len(built.to_pandas()) == 24
""",
    "words": """
from pathlib import Path
from tokenizers import Tokenizer, models
from lookalike.models.text_onnx import _tokenizer
Tokenizer(models.WordLevel({"sea": 0, "?": 1}, "?")).save("tokenizer.json")
assert _tokenizer(Path("tokenizer.json")).encode("sea").ids == [0]
""",
    "hub": """
from lookalike.errors import ModelError
from lookalike.models import hub
try:
    hub.fetch("some/model", hub.Wanted((("model.safetensors",),)))
except ModelError as error:
    assert "some/model" in str(error), error
else:
    raise AssertionError("there is no network here")
""",
    "export": """
import onnx
from onnx import helper
""",
    "train": """
from pathlib import Path
import lookalike
from lookalike.demo.flowers import write_flowers
write_flowers(Path("flowers"), count=120)
built = lookalike.build("flowers", "flowers.lookalike", label="folder", model="pixels")
model = lookalike.train(built, label="label", method="finetune", epochs=2).save("mine")
assert model.embed("flowers/" + built[0].id).shape == (1280,)
""",
    "digits": """
from lookalike.cli import main
assert main(["demo", "--dataset", "digits", "--count", "40", "--no-serve"]) == 0
""",
}


def main(work: Path, wanted: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = wanted or [name for name in extras if name not in (*OURS, *LARGE)]
    unknown = [name for name in names if name not in extras or name not in USES]
    if unknown:
        sys.exit(f"no extra, or no way to use it here: {', '.join(unknown)}")
    work.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(work), str(ROOT)]
    subprocess.run(pip, check=True)
    wheel = next(work.glob("lookalike-*.whl"))
    plain = environment(work / "plain")
    subprocess.run([plain / "bin" / "python", "-m", "pip", "install", "-q", str(wheel)], check=True)
    use("plain", plain / "bin" / "python", work / "plain-files")
    print("plain: installed without an extra, and used", flush=True)
    for name in names:
        shutil.copytree(plain, work / name, symlinks=True, copy_function=os.link)
        python = work / name / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", f"{wheel}[{name}]"], check=True)
        use(name, python, work / f"{name}-files")
        print(f"{name}: installed alone, and used", flush=True)


def environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


def use(name: str, python: Path, folder: Path) -> None:
    """Run what uses an extra, in a folder of its own, without network for what looks for a hub."""
    folder.mkdir()
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "NO_GCE_CHECK": "true"}
    caches = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "TFDS_DATA_DIR": str(folder / "tfds")}
    done = subprocess.run(
        [python, "-c", USES[name]],
        cwd=folder,
        env={**os.environ, **quiet, **caches},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} is installed alone, and fails:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
