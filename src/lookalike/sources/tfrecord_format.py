"""Reads and writes TFRecord without TensorFlow: the framing, and the message that most records contain.

A record is its length (8 bytes, little endian), a checksum of those, the data, and a checksum of the data:
https://www.tensorflow.org/tutorials/load_data/tfrecord. The data is a `tf.train.Example`, a protocol buffer
of named lists: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import google_crc32c

# A feature as read: whole numbers, floats, or the places of its byte strings in the file.
Feature = list[int] | list[float] | list[slice]

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK = 0xA282EAD8

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3  # fields of tf.train.Feature
_LONGEST_HEAD = 20  # bytes of a tag and a length, 10 each at most


def framed(data: bytes) -> bytes:
    """Frame one record: the data with its length and checksums."""
    length = struct.pack("<Q", len(data))
    return length + _CHECKSUM.pack(_masked(length)) + data + _CHECKSUM.pack(_masked(data))


def walk_records(file: BinaryIO) -> Iterator[slice]:
    """Yield where the data of each record is, without reading it.

    Raises `ValueError` if the file breaks off, or a length does not match its checksum.
    """
    size = file.seek(0, 2)
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise ValueError(f"the file breaks off at byte {size:,}, inside a record")
        length, checksum = _HEADER.unpack(header)
        if checksum != _masked(header[:8]):
            raise ValueError(f"the length at byte {position:,} does not match its checksum")
        start = position + _HEADER.size
        position = start + length + _CHECKSUM.size
        if position > size:
            raise ValueError(f"the file breaks off at byte {size:,}, inside a record")
        yield slice(start, start + length)


def read_record(file: BinaryIO, place: slice) -> bytes:
    """Read the data of a record; raises `ValueError` if its checksum does not match."""
    file.seek(place.start)
    length = place.stop - place.start
    data = file.read(length + _CHECKSUM.size)
    if len(data) < length + _CHECKSUM.size:
        raise ValueError("the file breaks off inside the record")
    (checksum,) = _CHECKSUM.unpack(data[length:])
    data = data[:length]
    if checksum != _masked(data):
        raise ValueError("the record does not match its checksum: the file is damaged")
    return data


def encode_example(features: Mapping[str, Sequence[bytes | int | float]]) -> bytes:
    """Encode a `tf.train.Example`; floats are stored in 32 bits, whole numbers in 64."""
    entries = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, _feature(values))) for name, values in features.items()
    )
    return _field(1, entries)


def decode_example(file: BinaryIO, place: slice) -> dict[str, Feature]:
    """Decode the `tf.train.Example` at a place in a file.

    Byte strings are not read, only located. Raises `ValueError` if it is not such a message.
    """
    features: dict[str, Feature] = {}
    for everything in _messages(file, place, 1):
        for entry in _messages(file, everything, 1):
            name = b"".join(_read(file, one) for one in _messages(file, entry, 1))
            values: Feature = []
            for feature in _messages(file, entry, 2):
                values = _values(file, feature)
            features[name.decode("utf-8", "replace")] = values
    return features


def _values(file: BinaryIO, feature: slice) -> Feature:
    """The one list of a feature."""
    values: Feature = []
    for kind, content in _fields(file, feature):
        if kind == _BYTES_LIST:
            values = list(_messages(file, _message(content), 1))
        elif kind == _FLOAT_LIST:
            data = b"".join(_parts(file, content))
            if len(data) % 4:
                raise ValueError("not a tf.train.Example: a list of floats breaks off")
            values = list(struct.unpack(f"<{len(data) // 4}f", data))
        elif kind == _INT64_LIST:
            values = [number for one in _parts(file, content) for number in _numbers(one)]
    return values


def _fields(file: BinaryIO, message: slice) -> Iterator[tuple[int, slice | int]]:
    """The fields of a message by number: whole numbers as values, everything else as its place."""
    position = message.start
    while position < message.stop:
        file.seek(position)
        head = file.read(min(_LONGEST_HEAD, message.stop - position))
        tag, used = _parse_varint(head, 0)
        wire = tag & 7
        if wire == _VARINT:
            number, used = _parse_varint(head, used)
            yield tag >> 3, number
            position += used
            continue
        if wire == _BYTES:
            length, used = _parse_varint(head, used)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"not a tf.train.Example: wire type {wire}")
        start = position + used
        position = start + length
        if position > message.stop:
            raise ValueError("not a tf.train.Example: a field is longer than its message")
        yield tag >> 3, slice(start, position)


def _masked(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    number &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _feature(values: Sequence[bytes | int | float]) -> bytes:
    strings = [value for value in values if isinstance(value, bytes)]
    if len(strings) == len(values):
        return _field(_BYTES_LIST, b"".join(_field(1, value) for value in strings))
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) == len(values):
        return _field(_INT64_LIST, _field(1, b"".join(map(_varint, numbers))))
    return _field(_FLOAT_LIST, _field(1, struct.pack(f"<{len(values)}f", *values)))


def _messages(file: BinaryIO, message: slice, number: int) -> Iterator[slice]:
    """The places of the fields with this number."""
    return (_message(content) for found, content in _fields(file, message) if found == number)


def _message(content: slice | int) -> slice:
    if isinstance(content, int):
        raise ValueError("not a tf.train.Example: a number where a message should be")
    return content


def _parts(file: BinaryIO, message: slice | int) -> Iterator[bytes]:
    """The values of a list of numbers, stored packed together or one by one."""
    for number, content in _fields(file, _message(message)):
        if number == 1:
            yield _varint(content) if isinstance(content, int) else _read(file, content)


def _numbers(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        number, position = _parse_varint(data, position)
        yield number - (1 << 64) if number >> 63 else number


def _parse_varint(data: bytes, position: int) -> tuple[int, int]:
    """A number and the position after it; inverse of `_varint`."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError("not a tf.train.Example: a number breaks off")


def _read(file: BinaryIO, place: slice) -> bytes:
    file.seek(place.start)
    return file.read(place.stop - place.start)
