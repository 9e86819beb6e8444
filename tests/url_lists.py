"""Lists of addresses on the loopback, and how they are fetched."""

from __future__ import annotations

from pathlib import Path

from lookalike.sources.fetch import FetchOptions

LOCAL = FetchOptions(allow_private=True, rate=0, per_host=8, timeout_s=2, retries=0)


def listed(folder: Path, *urls: str) -> Path:
    path = folder / "urls.csv"
    path.write_text("url,caption\n" + "".join(f"{url},c{number}\n" for number, url in enumerate(urls)))
    return path


def ok(site, *numbers: int) -> list[str]:
    return [f"{site.url}/ok/{number}.jpg" for number in numbers]
