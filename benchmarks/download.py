"""How fast is a download, compared with img2dataset, from the same nginx on this machine?

    python -m venv i2d && i2d/bin/pip install img2dataset   # once
    apt-get install nginx-light libnginx-mod-http-echo      # once
    python benchmarks/download.py --img2dataset i2d/bin/python --images photos/

Both get the same list of distinct URLs and make tars of JPEGs (quality 90) whose shorter side is 256 pixels,
with as many processes (img2dataset) or decoding threads (lookalike) as there are cores and 64 connections.
`whole` is the rate of the whole command, including its start, `steady` the rate that each program reports,
and `CPU` the processor time in milliseconds for each image, including the start: the figure to trust on a
busy machine. Politeness is off for both: robots.txt is ignored, and one host gets all the requests.

    python benchmarks/download.py --memory 10000000

writes a list of that many lines, downloads from it for --seconds, and prints when the first answer arrived
and the largest memory of the process.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from lookalike.demo.flowers import write_flowers

LOOSE = ("--allow-private", "--ignore-robots", "--rate", "0", "--per-host", "64", "--concurrency", "64")
SETS = {"500x375": ((500, 375), 400), "12 MP": ((4000, 3000), 40)}
ECHO = "/usr/lib/nginx/modules/ngx_http_echo_module.so"

# `/troubled/` waits 50 ms, and answers 2% of requests with an error; neither program retries.
CONFIG = """
load_module %(echo)s;
daemon off; pid %(root)s/nginx.pid; worker_processes 1; error_log %(root)s/error.log crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path %(root)s/tmp; proxy_temp_path %(root)s/tmp; fastcgi_temp_path %(root)s/tmp;
  uwsgi_temp_path %(root)s/tmp; scgi_temp_path %(root)s/tmp;
  split_clients $request_uri $trouble { 1%% 404; 1%% 500; * ""; }
  server {
    listen 127.0.0.1:%(port)d;
    root %(root)s/images;
    location /files/ { alias %(root)s/images/; }
    location ~ ^/troubled/(.*)$ {
      if ($trouble = 404) { return 404; }
      if ($trouble = 500) { return 500; }
      echo_sleep 0.05;
      echo_exec /files/$1;
    }
  }
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--img2dataset", metavar="PYTHON", help="of an environment that has img2dataset")
    parser.add_argument("--images", type=Path, help="a folder of JPEG photographs (default: drawn flowers)")
    parser.add_argument("--count", type=int, default=4000, help="URLs of small images; a tenth of large ones")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--memory", type=int, metavar="N", help="measure a list of N lines instead")
    parser.add_argument("--seconds", type=float, default=20.0, help="for --memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lookalike-download-") as folder:
        root = Path(folder)
        sets = _images(root / "images", options.images)
        with _nginx(root) as server:
            if options.memory:
                _memory(root, f"{server}/files/500x375", options.memory, options.seconds)
            else:
                _compare(root, server, sets, options)


def _compare(root: Path, server: str, sets: dict[str, int], options: argparse.Namespace) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':20}{'program':14}{'whole':>8}{'steady':>8}{'CPU':>8}")
    for kind in ("files", "troubled"):
        for name, images in sets.items():
            count = options.count if name == "500x375" else options.count // 10
            folder = name.replace(" ", "-")
            urls = [f"{server}/{kind}/{folder}/{one % images}.jpg?{one}" for one in range(count)]
            (root / "urls.txt").write_text("\n".join(urls) + "\n")
            for _ in range(options.repeats):
                ours = _measured("lookalike", f"{kind} {name}", count, partial(_lookalike, root))
                if options.img2dataset:
                    other = partial(_img2dataset, root, options.img2dataset, count)
                    theirs = _measured("img2dataset", "", count, other)
                    ratios = [ours[0] / theirs[0], ours[1] / theirs[1], theirs[2] / ours[2]]
                    print(f"{'':20}{'ratio':14}" + "".join(f"{one:8.2f}" for one in ratios), flush=True)


def _measured(program: str, what: str, count: int, run: Callable[[], float]) -> tuple[float, float, float]:
    """The rate of the whole command, the rate it reports, and its CPU milliseconds for each image."""
    cpu_s, started_s = _children_cpu_s(), time.perf_counter()
    steady = run()
    whole = count / (time.perf_counter() - started_s)
    cpu_ms = (_children_cpu_s() - cpu_s) / count * 1000
    print(f"{what:20}{program:14}{whole:8.0f}{steady:8.0f}{cpu_ms:8.1f}", flush=True)
    return whole, steady, cpu_ms


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _lookalike(root: Path) -> float:
    out = root / "lookalike"
    shutil.rmtree(out, ignore_errors=True)
    words = ["-m", "lookalike", "download", root / "urls.txt", out, "--size", "256", "--json", *LOOSE]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    return float((report["succeeded"] + report["failed"]) / report["seconds"])


def _img2dataset(root: Path, python: str, count: int) -> float:
    out, cores = root / "img2dataset", os.cpu_count() or 1
    shutil.rmtree(out, ignore_errors=True)
    flags = {
        "url_list": root / "urls.txt",
        "output_folder": out,
        "output_format": "webdataset",
        "image_size": 256,
        "resize_mode": "keep_ratio",
        "resize_only_if_bigger": True,
        "encode_quality": 90,
        "processes_count": cores,
        "thread_count": 64,
        "number_sample_per_shard": max(1, count // (4 * cores)),
        "enable_wandb": False,
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    program = str(Path(python).with_name("img2dataset"))
    quiet = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    done = subprocess.run([program, *words], capture_output=True, text=True, check=True, env=quiet)
    rates = re.findall(r"total .*images per sec: ([\d.]+)", done.stdout + done.stderr)
    return float(rates[-1])


def _memory(root: Path, folder: str, lines: int, seconds: float) -> None:
    """Repeat the images under different query strings, so that every URL is new."""
    urls, out = root / "urls.txt", root / "memory"
    with urls.open("w") as file:
        file.writelines(f"{folder}/{one % 400}.jpg?{one}\n" for one in range(lines))
    words = [sys.executable, "-m", "lookalike", "download", urls, out, "--size", "256", *LOOSE]
    started_s = time.perf_counter()
    process = subprocess.Popen([str(word) for word in words], stderr=subprocess.DEVNULL)
    while not (out / "00000.parquet").exists() and process.poll() is None:
        time.sleep(0.05)
    first_s = time.perf_counter() - started_s
    time.sleep(max(0.0, seconds - first_s))
    process.send_signal(signal.SIGINT)
    process.wait()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    done = sum(pq.read_metadata(path).num_rows for path in out.glob("*.parquet"))
    print(
        f"{lines:,} lines ({urls.stat().st_size / 1e6:.0f} MB): first shard after {first_s:.1f} s, ", end=""
    )
    print(f"{done:,} images in {seconds:.0f} s, {peak:.0f} MB at most", flush=True)
    again = subprocess.Popen([str(word) for word in words], stderr=subprocess.DEVNULL)
    time.sleep(seconds / 2)
    again.send_signal(signal.SIGINT)
    again.wait()
    total = sum(pq.read_metadata(path).num_rows for path in out.glob("*.parquet"))
    print(f"started again: {total - done:,} more in {seconds / 2:.0f} s")


def _images(folder: Path, photographs: Path | None) -> dict[str, int]:
    """Make JPEGs of both sizes; returns how many there are of each."""
    if photographs is None:
        photographs = folder.parent / "drawn"
        write_flowers(photographs, count=100)
    files = sorted(photographs.rglob("*.jp*g"))
    for name, (size, count) in SETS.items():
        target = folder / name.replace(" ", "-")
        target.mkdir(parents=True)
        for number in range(count):
            image = Image.open(io.BytesIO(files[number % len(files)].read_bytes())).convert("RGB")
            image.resize(size, Image.Resampling.BICUBIC).save(target / f"{number}.jpg", quality=90)
    return {name: count for name, (_, count) in SETS.items()}


@contextmanager
def _nginx(root: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root.chmod(0o755)  # nginx's worker runs as another user
    (root / "nginx.conf").write_text(CONFIG % {"root": root, "port": port, "echo": ECHO})
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(root / "nginx.conf")])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
