"""Against the large libraries whose formats these are: TensorFlow, its datasets, and Hugging Face's."""

from __future__ import annotations

import http.server
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import command_process
from PIL import Image
from source_files import images, jpeg, listed, metadata, records_of, written

from lookalike.acquire.pack import pack
from lookalike.cli import main
from lookalike.errors import SourceError

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("default"),  # their own are not ours to mend
]


@pytest.fixture(scope="module", autouse=True)
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches of the libraries that the tests may fill, and no network."""
    root = tmp_path_factory.mktemp("hubs")
    os.environ |= {"HF_HOME": str(root / "hf"), "HF_HUB_OFFLINE": "1", "TFDS_DATA_DIR": str(root / "tfds")}
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "NO_GCE_CHECK": "true"}
    return root


@pytest.fixture
def packed(folder, tmp_path):
    """Packs the folder of 12 pictures, labelled, in a format."""

    def make(format_: str) -> Path:
        pack(folder, tmp_path / format_, format=format_, label="folder")
        return tmp_path / format_

    return make


@contextmanager
def hub_that_answers(status: int) -> Iterator[str]:
    """The address of a hub where every data set is gated; 401 to who is not logged in, 403 to who is."""

    class Gate(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def names_and_bytes(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_tensorflow_reads_the_records_written_here(folder, packed):
    import tensorflow as tf

    text = tf.io.FixedLenFeature([], tf.string)
    wanted = dict.fromkeys(("image", "image_name", "label"), text)
    found = {}
    for record in tf.data.TFRecordDataset([str(packed("tfrecord") / "00000.tfrecord")]):
        example = {key: one.numpy() for key, one in tf.io.parse_single_example(record, wanted).items()}
        found[example["image_name"].decode()] = example["image"]
        assert example["label"].decode() == example["image_name"].decode().split("/")[0]

    assert found == names_and_bytes(folder)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_the_records_that_tensorflow_writes_are_read_here(tmp_path, compression):
    import tensorflow as tf

    path = tmp_path / ("0.tfrecord.gz" if compression else "0.tfrecord")
    with tf.io.TFRecordWriter(str(path), options=compression) as writer:
        for number in range(3):
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[jpeg(number)])),
                "image_name": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[f"rose_{number}".encode()])
                ),
                "n": tf.train.Feature(int64_list=tf.train.Int64List(value=[-number])),
                "x": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())

    assert images(path) == {f"0/rose_{number}": jpeg(number) for number in range(3)}
    assert metadata(path)["0/rose_2"] == {"image_name": "rose_2", "n": -2, "x": 0.5}


def test_tensorflow_finds_the_damage_that_is_found_here(tmp_path):
    import tensorflow as tf

    data = bytearray(records_of({"image": jpeg()}))
    data[-20] ^= 1
    path = written(tmp_path / "0.tfrecord", bytes(data))

    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset([str(path)]))
    (sample,) = listed(path)[0].values()
    with pytest.raises(OSError, match="checksum"):
        sample.read()


def test_hugging_face_reads_the_parquet_written_here(folder, packed):
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(packed("parquet") / "*.parquet"), split="train")

    assert isinstance(rows.features["image"], datasets.Image)
    assert rows[0]["image"].size == (64, 48)
    encoded = rows.cast_column("image", datasets.Image(decode=False))
    assert {row["path"]: row["image"]["bytes"] for row in encoded} == names_and_bytes(folder)
    assert set(rows["label"]) == {"brick", "meadow", "sea"}


def test_hugging_face_reads_the_tars_written_here(folder, packed):
    import datasets

    rows = datasets.load_dataset("webdataset", data_files=str(packed("tar") / "*.tar"), split="train")

    assert len(rows) == 12
    assert rows[0]["json"]["label"] in rows[0]["__key__"]


def test_a_dataset_that_hugging_face_saved_is_read(folder, tmp_path):
    import datasets

    loaded = datasets.load_dataset(str(folder))
    loaded.save_to_disk(str(tmp_path / "saved"))

    found = images(tmp_path / "saved")

    assert sorted(found.values()) == sorted(names_and_bytes(folder).values())
    assert all(id_.startswith("train/data-00000-of-00001/") for id_ in found)
    assert {one["label"] for one in metadata(tmp_path / "saved").values()} == {"brick", "meadow", "sea"}


def test_a_dataset_of_hugging_face_is_read_by_its_name(folder):
    samples, _ = listed(f"hf:{folder}")

    assert sorted(one.read() for one in samples.values()) == sorted(names_and_bytes(folder).values())
    assert next(iter(samples)) == "train/0"
    assert {one.metadata["label"] for one in samples.values()} == {"brick", "meadow", "sea"}
    assert list(listed(f"hf:{folder}:train")[0]) == list(samples)


def test_a_dataset_of_tensorflow_is_read_by_its_name(tmp_path):
    import tensorflow_datasets as tfds

    class TinyFlowers(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=["rose", "tulip"]),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(0, 4), "test": self._generate_examples(4, 6)}

        def _generate_examples(self, first, end):
            for number in range(first, end):
                yield number, {"image": io.BytesIO(jpeg(number)), "label": number % 2}

    assert sorted(images("tfds:tiny_flowers").values()) == sorted(map(jpeg, range(6)))
    assert sorted(images("tfds:tiny_flowers/test").values()) == sorted(map(jpeg, (4, 5)))
    assert {one["label"] for one in metadata("tfds:tiny_flowers").values()} == {"rose", "tulip"}

    pack("tfds:tiny_flowers", tmp_path / "out", format="folder", by_label=True, count=4)

    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["rose", "tulip"]
    files = list((tmp_path / "out").rglob("*.jpg"))
    assert [Image.open(io.BytesIO(path.read_bytes())).size for path in files] == [(16, 12)] * 4

    words = ("tfds:tiny_flowers", str(tmp_path / "small"), "--size", "8", "--count", "5", "--by-label")
    assert main(["download", *words, "--format", "folder"]) == 0

    files = list((tmp_path / "small").rglob("*.jpg"))
    assert {path.parent.name for path in files} == {"rose", "tulip"}
    assert [Image.open(io.BytesIO(path.read_bytes())).size for path in files] == [(11, 8)] * 5


def test_a_dataset_of_hugging_face_is_downloaded_resized_and_by_label(folder, tmp_path):
    words = (f"hf:{folder}", str(tmp_path / "out"), "--size", "24", "--count", "9", "--by-label")
    assert main(["download", *words, "--format", "folder"]) == 0

    files = list((tmp_path / "out").rglob("*.jpg"))
    assert {path.parent.name for path in files} == {"brick", "meadow", "sea"}
    assert [Image.open(io.BytesIO(path.read_bytes())).size for path in files] == [(32, 24)] * 9


def test_a_class_of_minus_one_is_no_label(tmp_path):
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["rose", "tulip"])}
    )
    rows = {"image": [{"bytes": jpeg(number), "path": None} for number in range(3)], "label": [1, -1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "data" / "train.parquet")

    found = metadata(f"hf:{tmp_path / 'data'}")

    assert [one.get("label") for one in found.values()] == ["tulip", None, "rose"]


def test_a_dataset_of_no_images_says_what_it_has(tmp_path):
    written(tmp_path / "texts" / "train.csv", b"text,stars\ngood,5\n")

    with pytest.raises(SourceError, match="has no column of images, only: text, stars"):
        listed(f"hf:{tmp_path / 'texts'}")


def test_a_dataset_that_only_streams_is_refused(folder, monkeypatch):
    import datasets

    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda *words, **more: load(*words, **more, streaming=True))

    with pytest.raises(SourceError, match="is a stream, which has no list of its rows"):
        listed(f"hf:{folder}")


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_dataset_says_how_to_get_in(tmp_path, status):
    with hub_that_answers(status) as address:
        words = ("pack", "hf:owner/secret", str(tmp_path / "out"))
        variables = {**os.environ, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
        done = command_process(*words, env=variables)

    assert done.returncode == 1
    assert "hf:owner/secret cannot be loaded: Dataset 'owner/secret' is a gated dataset" in done.stderr
    assert "ask for access on the page of the data set, then log in" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dataset_of_tensorflow_that_is_not_there_is_a_clear_error():
    with pytest.raises(SourceError, match="tfds:tf_flowrs cannot be loaded: Dataset tf_flowrs not found"):
        listed("tfds:tf_flowrs")


def test_a_dataset_of_tensorflow_without_images_says_what_it_has():
    import tensorflow_datasets as tfds

    class TinyNumbers(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {"text": tfds.features.Text(), "stars": tfds.features.Scalar(np.int32)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": iter([(0, {"text": "good", "stars": 5})])}

        def _generate_examples(self):
            raise NotImplementedError

    with pytest.raises(SourceError, match="tfds:tiny_numbers has no column of images, only: stars, text"):
        listed("tfds:tiny_numbers")
