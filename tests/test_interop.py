"""Against the large libraries whose formats these are: TensorFlow, its datasets, and Hugging Face's."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from source_files import images, jpeg, listed, metadata, records_of, written

from lookalike.acquire.pack import pack

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
