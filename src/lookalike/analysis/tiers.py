"""The tiers of duplicates: how much two pictures have to share, and what people say of them."""

from __future__ import annotations

from collections.abc import Collection

from lookalike.errors import LookalikeError

# From the surest to the loosest. The last is not a duplicate, but another picture of a burst.
TIERS = {
    "bytes": "identical bytes",
    "pixels": "identical pixels",
    "copy": "re-encoded or resized",
    "edit": "cropped, mirrored, turned or watermarked",
    "moment": "the same moment",
}
# Pictures that show everything the other shows. An edit does not, so it is included only on request.
DUPLICATES = ("bytes", "pixels", "copy")
# People can mark two pictures as not duplicates, or one as staying.
NOT_DUPLICATE, KEEP = "not_duplicate", "keep"


def check_tiers(tiers: Collection[str]) -> None:
    """Raise `LookalikeError` for an unknown tier, or none."""
    unknown = [tier for tier in tiers if tier not in TIERS]
    if unknown or not tiers:
        raise LookalikeError(f"unknown tier {', '.join(unknown)!r}", f"known are: {', '.join(TIERS)}")
