"""Pixels and words to vectors, one file for each kind of model."""
