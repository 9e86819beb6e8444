"""TFRecord without TensorFlow: its framing and its messages, against the library that defines them."""

from __future__ import annotations

import io
import struct

import google_crc32c
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as some
from pictures import quick

from lookalike.sources.tfrecord_format import (
    decode_example,
    encode_example,
    framed,
    read_record,
    walk_records,
)

numbers = some.integers(-(2**63), 2**63 - 1)
floats = some.floats(width=32, allow_nan=False)
features = some.dictionaries(
    some.text(min_size=1, max_size=9),
    some.lists(some.binary(max_size=300), min_size=1, max_size=3)
    | some.lists(numbers, min_size=1, max_size=4)
    | some.lists(floats, min_size=1, max_size=4),
    max_size=5,
)


def example_class() -> type:
    """`tf.train.Example` as protobuf's own compiler would make it from feature.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="feature.proto", package="tensorflow", syntax="proto3")
    kind = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *fields: tuple[str, int, int, str]) -> descriptor_pb2.DescriptorProto:
        made = file.message_type.add(name=name)
        for field, number, type_, reference in fields:
            label = kind.LABEL_OPTIONAL if name in ("Feature", "Example") else kind.LABEL_REPEATED
            made.field.add(name=field, number=number, type=type_, label=label)
            if reference:
                made.field[-1].type_name = reference
        return made

    message("BytesList", ("value", 1, kind.TYPE_BYTES, ""))
    message("FloatList", ("value", 1, kind.TYPE_FLOAT, ""))
    message("Int64List", ("value", 1, kind.TYPE_INT64, ""))
    lists = [("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")]
    feature = message(
        "Feature",
        *((name, 1 + i, kind.TYPE_MESSAGE, f".tensorflow.{type_}") for i, (name, type_) in enumerate(lists)),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    parent = message("Features", ("feature", 1, kind.TYPE_MESSAGE, ".tensorflow.Features.FeatureEntry"))
    entry = parent.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=kind.TYPE_MESSAGE,
        label=kind.LABEL_OPTIONAL,
        type_name=".tensorflow.Feature",
    )
    message("Example", ("features", 1, kind.TYPE_MESSAGE, ".tensorflow.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


Example = example_class()


def decoded(data: bytes) -> dict[str, list]:
    """What a message holds, with the byte strings themselves in the place of their places."""
    found = decode_example(io.BytesIO(b"before" + data), slice(6, 6 + len(data)))
    return {
        name: [data[one.start - 6 : one.stop - 6] if isinstance(one, slice) else one for one in values]
        for name, values in found.items()
    }


def records(data: bytes) -> list[bytes]:
    file = io.BytesIO(data)
    return [read_record(file, place) for place in walk_records(file)]


def test_a_record_has_its_length_and_two_masked_checksums():
    crc = google_crc32c.value(b"abc")
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    assert framed(b"abc")[:8] == b"\x03\0\0\0\0\0\0\0"
    assert framed(b"abc")[12:] == b"abc" + struct.pack("<I", masked)


def test_the_checksum_is_that_of_the_standard():
    assert google_crc32c.value(b"123456789") == 0xE3069283  # the check value of CRC-32C


@quick
@given(some.lists(some.binary(max_size=100), max_size=5))
def test_records_come_back(contents):
    assert records(b"".join(map(framed, contents))) == contents


def test_at_every_cut_the_records_before_it_come_back():
    whole = framed(b"first") + framed(b"") + framed(b"third")
    ends = [len(framed(b"first")), len(framed(b"first") + framed(b"")), len(whole)]

    for cut in range(len(whole)):
        file, found = io.BytesIO(whole[:cut]), []
        try:
            found.extend(read_record(file, place) for place in walk_records(file))
            broken = False
        except ValueError:
            broken = True
        assert len(found) == sum(end <= cut for end in ends)
        assert broken == (cut not in (0, *ends))


@pytest.mark.parametrize("position", range(len(framed(b"abc"))))
def test_every_flipped_byte_is_found(position):
    data = bytearray(framed(b"abc"))
    data[position] ^= 0x10

    with pytest.raises(ValueError, match="checksum"):
        records(bytes(data))


@quick
@given(features)
def test_protobuf_reads_what_is_written_here(values):
    message = Example.FromString(encode_example(values))

    for name, wanted in values.items():
        feature = message.features.feature[name]
        kind = feature.WhichOneof("kind")
        assert list(getattr(feature, kind).value) == wanted
    assert set(message.features.feature) == set(values)


@quick
@given(features)
def test_what_protobuf_writes_is_read_here(values):
    message = Example()
    for name, wanted in values.items():
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(wanted[0])]
        getattr(message.features.feature[name], kind).value.extend(wanted)

    assert decoded(message.SerializeToString()) == values


@quick
@given(some.binary(max_size=60))
def test_any_other_bytes_are_refused_or_read(data):
    try:
        decoded(data)
    except ValueError as error:
        assert str(error).startswith("not a tf.train.Example")


@quick
@given(features, some.integers(0, 500), some.integers(1, 255))
def test_a_damaged_message_is_refused_or_read(values, position, flip):
    data = bytearray(encode_example({"name": [b"x"], **values}))
    data[position % len(data)] ^= flip

    try:
        decoded(bytes(data))
    except ValueError as error:
        assert str(error).startswith("not a tf.train.Example")
