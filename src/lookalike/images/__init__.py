"""Bytes to pixels and thumbnails."""
