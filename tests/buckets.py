"""An S3 server on the loopback, and buckets in it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from lookalike.storage.stores import place

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
NUMBERS = count()


class Requests(logging.Handler):
    """Keeps the requests that the server logs, such as `GET /bucket/key`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"(GET|PUT|HEAD|POST|DELETE) \S+", record.getMessage()):
            self.seen.append(found[0])


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Requests]:
    """An S3 server and what it is asked; the environment says where it is, as a user's would.

    One for all, since s3fs keeps its connections for as long as the process lives.
    """
    moto_server = pytest.importorskip("moto.server")
    pytest.importorskip("fsspec")
    log, requests = logging.getLogger("werkzeug"), Requests()
    log.addHandler(requests)
    log.propagate, log.level = False, logging.INFO
    process = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    process.start()
    host, port = process.get_host_and_port()
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    yield requests
    os.environ.clear()
    os.environ.update(before)
    process.stop()
    log.removeHandler(requests)


@pytest.fixture
def bucket(s3_server: Requests) -> str:
    """The name of a new bucket."""
    boto3 = pytest.importorskip("boto3")
    name = f"bucket-{next(NUMBERS)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@contextmanager
def asked(s3_server: Requests) -> Iterator[list[str]]:
    """The requests of the block, when it is over."""
    start, found = len(s3_server.seen), list[str]()
    yield found
    found += s3_server.seen[start:]


def upload(folder: Path, address: str) -> str:
    """Put every file of a folder below an address."""
    target = place(address)
    for path in folder.rglob("*"):
        if path.is_file():
            (target / path.relative_to(folder).as_posix()).put(path.read_bytes())
    return address


def objects(address: str) -> list[str]:
    """The names of all that is below an address."""
    return sorted(place(address).files())
