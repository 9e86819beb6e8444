"""Samples in, committed parts out. Named `builder` because `lookalike.build` is the function."""
