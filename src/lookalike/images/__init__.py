"""Turns bytes into pixels and thumbnails."""
